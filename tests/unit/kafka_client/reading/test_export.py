"""Files that lose nothing, and files that run nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from kafka_client.model import Header, Record
from kafka_client.reading.export import csv_rows, json_line, write
from kafka_client.reading.lines import LineForm, parse_lines


def record(
    value: bytes | None, key: bytes | None = b"k", headers: tuple[Header, ...] = ()
) -> Record:
    return Record("t", 1, 7, 1_700_000_000_000, "create", key, value, headers)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"text",
        b"\xff\x00",
        "é\n\u2028".encode(),
        b"\xed\xa0\x80",
        bytes(range(256)),
        b"=1+1",
    ],
)
def test_that_json_lines_come_back_as_the_same_bytes(value: bytes | None) -> None:
    headers = (Header("a", value), Header("b", None), Header("a", b"twice"))
    line = json_line(record(value, value, headers))
    assert "\n" not in line and line.isascii()
    parsed = parse_lines(line, "other", LineForm.JSON_LINES)
    assert parsed.errors == ()
    (found,) = parsed.records
    assert (found.topic, found.key, found.value, found.headers) == ("other", value, value, headers)
    assert (found.partition, found.timestamp_ms) == (1, 1_700_000_000_000)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_that_no_cell_of_csv_begins_a_formula(text: str) -> None:
    rows = list(
        csv.reader(
            io.StringIO("".join(csv_rows([record(text.encode(), text.encode())])), newline="")
        )
    )
    assert rows[1][5] == rows[1][6] == f"'{text}"


def test_that_csv_quotes_lines_and_commas() -> None:
    text = 'a "b", c\r\nd'
    rows = list(csv.reader(io.StringIO("".join(csv_rows([record(text.encode())])), newline="")))
    assert rows[1][6] == text and rows[1][2] == "7"


def test_that_files_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    size = write(path, [record(b"1"), record(b"2")], "jsonl")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["value"] for line in lines] == [
        "1",
        "2",
    ] and path.stat().st_size == size
    write(tmp_path / "out.csv", [record(b"1")], "csv")
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 2


def test_that_pasted_lines_become_records() -> None:
    assert [r.value for r in parse_lines("a\r\n\nb", "t", LineForm.VALUES).records] == [b"a", b"b"]
    (found,) = parse_lines("k:v:w", "t", LineForm.KEY_VALUE, ":").records
    assert (found.key, found.value) == (b"k", b"v:w")
    (found,) = parse_lines(
        '{"key": "k", "value": {"a": 1}}', "t", LineForm.JSON_LINES, partition=2
    ).records
    assert (found.value, found.partition) == (b'{"a": 1}', 2)
    (found,) = parse_lines('{"key": "k", "value": null}', "t", LineForm.JSON_LINES).records
    assert found.value is None


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "{",
        '{"partition": "x"}',
        '{"partition": -1}',
        '{"value_base64": "?"}',
        '{"value_base64": 5}',
        '{"headers": 5}',
        '{"headers": [{"value": 1}]}',
        '{"timestamp_ms": "now"}',
        "[" * 100_000,
    ],
)
def test_that_a_line_that_cannot_be_sent_is_named(line: str) -> None:
    parsed = parse_lines(f'{{"value": "ok"}}\n{line}', "t", LineForm.JSON_LINES)
    assert parsed.errors[0][0] == 2 and len(parsed.records) == 1
