from __future__ import annotations

import json

from widgets.column import Column
from widgets.export import as_csv, as_json_lines, as_tsv

Row = tuple[str, int]
COLUMNS = (
    Column[Row]("name", "Name", lambda r: r[0]),
    Column[Row]("size", "Size", lambda r: r[1], text=lambda v: "many"),
)


def test_that_a_formula_is_exported_as_text() -> None:
    text = as_csv(COLUMNS, [("=cmd|' /C calc'!A0", -5), ('a"b', 1)])
    assert text == 'name,size\r\n\'=cmd|\' /C calc\'!A0,-5\r\n"a""b",1\r\n'


def test_that_a_row_stays_one_line_on_the_clipboard() -> None:
    assert as_tsv(COLUMNS, [("a\tb\nc", 1)]) == "a␉b␊c\t1"


def test_that_json_lines_keep_integers_exact() -> None:
    big = 2**63 + 1
    assert json.loads(as_json_lines(COLUMNS, [("x", big)])) == {"name": "x", "size": big}
