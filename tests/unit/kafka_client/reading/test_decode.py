"""Bytes become text without surprises, and say what they were taken for."""

from __future__ import annotations

import struct
import time
import uuid

import pytest

from kafka_client.errors import BadInput
from kafka_client.reading import exact_json
from kafka_client.reading.decode import Kind, decode, guess, preview
from kafka_client.reading.encode import encode


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": 1}', Kind.JSON),
        (b" [1, 2]\n", Kind.JSON),
        (b"plain text", Kind.STRING),
        (b'{"a": ', Kind.STRING),
        (struct.pack(">q", 12345), Kind.INT64),
        (struct.pack(">i", -5), Kind.INT32),
        (uuid.UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2").bytes, Kind.UUID),
        (b"\x1f\x8b\x08\x00", Kind.HEX),
        (b"\xff\xfe\xfd", Kind.HEX),
        (b"\x00\x00\x00\x00\x07\x02abc", Kind.HEX),
        (b"", Kind.STRING),
        ("漢字".encode(), Kind.STRING),
    ],
)
def test_that_guesses_are_good_and_say_why(data: bytes, kind: Kind) -> None:
    found = guess(data)
    assert found.kind is kind and found.why
    assert decode(data).kind is kind


def test_that_a_schema_id_is_named() -> None:
    assert "schema id 7" in guess(b"\x00\x00\x00\x00\x07\x02ab\xff").why


def test_that_integers_are_exact_and_wrong_lengths_are_reported() -> None:
    assert decode(struct.pack(">q", -(2**63)), Kind.INT64).text == "-9223372036854775808"
    wrong = decode(b"abc", Kind.INT64)
    assert wrong.text == "61 62 63" and "3 bytes cannot be an int64" in wrong.problem


def test_that_broken_text_is_shown_and_reported() -> None:
    found = decode(b"ab\xffcd", Kind.STRING)
    assert found.text == "ab\ufffdcd" and "byte 2" in found.problem


def test_that_a_character_cut_by_the_limit_is_no_problem() -> None:
    found = decode("é".encode() * 100, Kind.STRING, limit=33)
    assert found.problem == "" and found.text == "é" * 16


def test_that_a_cell_of_a_large_value_costs_nothing() -> None:
    data = b'{"a": "' + b"x" * 20_000_000 + b'"}'
    begun = time.perf_counter()
    assert len(preview(data)) <= 512
    assert time.perf_counter() - begun < 0.02


def test_that_previews_are_one_short_line_of_every_kind() -> None:
    for kind in Kind:
        for data in (b"", b"a\nb\tc", bytes(range(256)), b"12345678", b"\xff" * 16, None):
            text = preview(data, kind)
            assert len(text) <= 512 and "\n" not in text


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.GUESS])
def test_that_what_is_decoded_encodes_to_the_same_bytes(kind: Kind) -> None:
    data = {
        Kind.INT32: b"\xff\xff\xff\xfe",
        Kind.INT64: b"\x80" + b"\x00" * 7,
        Kind.UUID: bytes(range(16)),
    }.get(kind, b'{"a": [1, "\xc3\xa9"]}')
    assert encode(decode(data, kind).text, kind) == data


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12x", Kind.INT32),
        (str(2**31), Kind.INT32),
        (str(2**63), Kind.INT64),
        ("9" * 5000, Kind.INT64),
        ("zz", Kind.HEX),
        ("abc", Kind.HEX),
        ("?", Kind.BASE64),
        ("no", Kind.UUID),
        ("{", Kind.JSON),
        ("[" * 100_000, Kind.JSON),
    ],
)
def test_that_what_cannot_be_sent_is_refused_with_a_sentence(text: str, kind: Kind) -> None:
    with pytest.raises(BadInput) as refused:
        encode(text, kind)
    assert 10 < len(str(refused.value)) < 200


def test_that_json_numbers_stay_as_written() -> None:
    text = (
        '{"id": 9007199254740993, "p": 0.1000000000000000055511151231257827,'
        ' "e": 1e999999999, "n": NaN}'
    )
    found = dict(exact_json.parse(text).value)
    assert found["id"] == 9007199254740993
    assert found["p"].literal == "0.1000000000000000055511151231257827"
    assert (found["e"].literal, found["n"].literal) == ("1e999999999", "NaN")


def test_that_keys_that_come_twice_are_both_kept() -> None:
    assert exact_json.parse('{"a": 1, "a": 2}').value == (("a", 1), ("a", 2))


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "", "{'a': 1}"]
)
def test_that_hostile_json_gives_a_sentence(text: str) -> None:
    found = exact_json.parse(text)
    assert not found.ok and found.problem.endswith(".")


def test_that_five_thousand_digits_are_a_number() -> None:
    assert exact_json.parse("9" * 5000).value.literal == "9" * 5000


def test_that_indenting_changes_white_space_alone() -> None:
    text = '{"a":[1,2.50,{}],"b":"x, {y}","c":[],"a":null}'
    shown = exact_json.indented(text)
    assert "".join(shown.split()) == "".join(text.split())
    assert shown.startswith('{\n  "a": [\n    1,\n    2.50,\n    {}\n  ],\n  "b": "x, {y}"')


def test_that_indenting_takes_cut_and_deep_text() -> None:
    assert exact_json.indented('{"a": [1, "unfinished').endswith('"unfinished')
    deep = exact_json.indented("[" * 10_000)
    assert len(deep) < 10_000 * 140
