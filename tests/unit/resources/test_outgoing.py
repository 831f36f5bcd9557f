"""Text that leaves the program does nothing where it arrives."""

from __future__ import annotations

import io
import json
import sys

import pytest

from resources.outgoing import CLEAR, CsvWriter, complain, harmless, say, say_json

HOSTILE = "a\x1b]0;owned\x07\r\nb\x9b31m\u202etxt"


def test_that_a_terminal_has_nothing_to_obey(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    complain(HOSTILE)
    printed = capsys.readouterr()
    assert printed.out == printed.err == "a␛]0;owned␇␍\nb▫31m▫txt\n"
    say("table", clear=True)
    assert capsys.readouterr().out == f"{CLEAR}table\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_that_a_terminal_without_the_signs_gets_escapes(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    say("orders\x1b[31m")
    assert raw.getvalue().split() == [b"orders\\u241b[31m"]


def test_that_json_is_exact_and_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"group": f"{HOSTILE}\x7fü"})
    line = capsys.readouterr().out
    assert json.loads(line) == {"group": f"{HOSTILE}\x7fü"}
    assert line.isascii() and "\x1b" not in line and "\x7f" not in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("before", ["", " ", "\t", "\r\n", "\0", "\ufeff", "\u00a0\u3000"])
@pytest.mark.parametrize("sign", list("=+-@＝＋－＠"))
def test_that_no_cell_is_a_formula(before: str, sign: str) -> None:
    assert harmless(f"{before}{sign}1+1") == f"'{before}{sign}1+1"


def test_that_rows_keep_numbers_and_empty_cells() -> None:
    out = io.StringIO()
    writer = CsvWriter(out)
    writer.row(["=1", -5, 1.5, None, 'a"b', "plain"])
    writer.own_row(["-5"])
    assert out.getvalue() == '\'=1,-5,1.5,,"a""b",plain\r\n-5\r\n'
