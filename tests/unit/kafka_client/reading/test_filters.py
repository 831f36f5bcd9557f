"""A text is found in raw bytes however it was written."""

from __future__ import annotations

import json

import pytest

from kafka_client.model import Header, Record
from kafka_client.reading.filters import Contains, Part, make_filter


def record(
    value: bytes | None, key: bytes | None = None, headers: tuple[Header, ...] = ()
) -> Record:
    return Record("t", 0, 0, 0, "create", key, value, headers)


def matches(contains: Contains, found: Record) -> bool:
    wanted = make_filter(contains)
    assert wanted is not None
    return wanted(found)


def test_that_no_text_means_no_filter() -> None:
    assert make_filter(None) is None
    assert make_filter(Contains("")) is None


@pytest.mark.parametrize("text", ["Grüße", 'say "hi"', "漢字", "👩", "a\\b", "tab\there"])
def test_that_text_is_found_plain_and_as_json_escapes_it(text: str) -> None:
    escaped = json.dumps({"a": text}).encode()
    assert matches(Contains(text), record(escaped))
    assert matches(Contains(text), record(json.dumps({"a": text}, ensure_ascii=False).encode()))
    assert matches(Contains(text), record(f"x{text}y".encode()))


def test_that_hex_digits_of_either_case_are_found_when_case_matters() -> None:
    assert matches(Contains("ü", match_case=True), record(rb'"\u00fc"'))
    assert matches(Contains("ü", match_case=True), record(rb'"\u00FC"'))


def test_that_case_is_ignored_unless_asked() -> None:
    assert matches(Contains("ERROR"), record(b"an error"))
    assert matches(Contains("ÜBER"), record("über".encode()))
    assert not matches(Contains("ERROR", match_case=True), record(b"an error"))


def test_that_bytes_are_searched_by_hex_digits() -> None:
    assert matches(Contains("0xfffe"), record(b"\x00\xff\xfe\x00"))
    assert matches(Contains("0xCAFE"), record(b"as text 0xcafe"))
    assert not matches(Contains("0xfffe"), record(b"\xfe\xff"))


def test_that_the_part_of_a_record_is_respected() -> None:
    found = record(b"value", b"key", (Header("trace", b"abc"), Header("empty", None)))
    assert matches(Contains("key", Part.KEY), found)
    assert not matches(Contains("key", Part.VALUE), found)
    assert matches(Contains("abc", Part.HEADERS), found)
    assert matches(Contains("trace", Part.HEADERS), found)
    assert matches(Contains("abc"), found)


def test_that_null_holds_nothing() -> None:
    assert not matches(Contains("a"), record(None))
