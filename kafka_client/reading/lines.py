"""Parses lines that a person pastes into records to send: a value per line, key and value, or the
JSON Lines that ``export`` writes."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kafka_client.model import Header, NewRecord

LINES_MOST = 100_000
ERRORS_MOST = 100


class LineForm(StrEnum):
    VALUES = "values"
    KEY_VALUE = "key and value"
    JSON_LINES = "JSON Lines"


@dataclass(frozen=True, slots=True)
class ParsedLines:
    """``errors``: (line number from 1, what is wrong with the line)."""

    records: tuple[NewRecord, ...]
    errors: tuple[tuple[int, str], ...] = ()


class InvalidLine(Exception):
    """A line is not a record; the message says why."""


def parse_lines(
    text: str, topic: str, form: LineForm, separator: str = "\t", partition: int | None = None
) -> ParsedLines:
    """Parse each line that is not empty; at most LINES_MOST lines and ERRORS_MOST errors.

    ``separator``: between key and value. ``partition``: of every record; None lets JSON Lines name
    one.
    """
    records: list[NewRecord] = []
    errors: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line:
            continue
        if len(records) >= LINES_MOST:
            errors.append((number, f"more than {LINES_MOST:,} lines at once"))
            break
        try:
            records.append(_parse(line, topic, form, separator, partition))
        except InvalidLine as error:
            errors.append((number, str(error)))
            if len(errors) >= ERRORS_MOST:
                break
    return ParsedLines(tuple(records), tuple(errors))


def _parse(
    line: str, topic: str, form: LineForm, separator: str, partition: int | None
) -> NewRecord:
    match form:
        case LineForm.VALUES:
            return NewRecord(topic, None, line.encode("utf-8", "replace"), partition=partition)
        case LineForm.KEY_VALUE:
            key, matched, value = line.partition(separator or "\t")
            if not matched:
                raise InvalidLine("no separator between key and value")
            return NewRecord(
                topic,
                key.encode("utf-8", "replace"),
                value.encode("utf-8", "replace"),
                partition=partition,
            )
        case LineForm.JSON_LINES:
            return parse_json_line(line, topic, partition)


def parse_json_line(line: str, topic: str, partition: int | None = None) -> NewRecord:
    """Parse one line of ``export.json_line``. Raises: InvalidLine."""
    try:
        parsed = json.loads(line)
    except RecursionError:
        raise InvalidLine("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidLine(f"not valid JSON at character {error.pos + 1:,}") from None
    except ValueError:
        raise InvalidLine("not valid JSON: a number is too long") from None
    if not isinstance(parsed, dict):
        raise InvalidLine("not a JSON object")
    at = parsed.get("partition") if partition is None else partition
    if at is not None and (not isinstance(at, int) or isinstance(at, bool) or at < 0):
        raise InvalidLine("partition is not a number")
    timestamp_ms = parsed.get("timestamp_ms")
    if timestamp_ms is not None and (
        not isinstance(timestamp_ms, int) or isinstance(timestamp_ms, bool)
    ):
        raise InvalidLine("timestamp_ms is not a number")
    return NewRecord(
        topic,
        _field(parsed, "key"),
        _field(parsed, "value"),
        _headers(parsed.get("headers")),
        at,
        None if timestamp_ms is None or timestamp_ms < 0 else timestamp_ms,
    )


def _field(parsed: dict[str, Any], name: str) -> bytes | None:
    """The bytes of ``name``, or of ``name_base64``; a value that is no text is sent as JSON."""
    if (text := parsed.get(f"{name}_base64")) is not None:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise InvalidLine(f"{name}_base64 is not base64") from None
    value = parsed.get(name)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _headers(parsed: object) -> tuple[Header, ...]:
    """Headers as a list of objects, which may repeat a key, or as one object."""
    if not parsed:
        return ()
    if isinstance(parsed, dict):
        return tuple(
            Header(name, _field({"value": value}, "value")) for name, value in parsed.items()
        )
    if not isinstance(parsed, list):
        raise InvalidLine("headers are neither an object nor a list")
    headers = []
    for header in parsed:
        if not isinstance(header, dict) or not isinstance(header.get("key"), str):
            raise InvalidLine("a header has no key")
        headers.append(Header(header["key"], _field(header, "value")))
    return tuple(headers)
