"""Records to send, from lines that a person pastes: a value each, key and value, or JSON Lines as
exported here."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kafka_client.model import Header, NewRecord

MOST_LINES = 100_000
MOST_ERRORS = 100


class LineForm(StrEnum):
    VALUES = "values"
    KEY_VALUE = "key and value"
    JSON_LINES = "JSON Lines"


@dataclass(frozen=True, slots=True)
class ParsedLines:
    """``errors``: (line number from 1, what is wrong with it)."""

    records: tuple[NewRecord, ...]
    errors: tuple[tuple[int, str], ...] = ()


class _Wrong(Exception):
    pass


def parse_lines(
    text: str, topic: str, form: LineForm, separator: str = "\t", partition: int | None = None
) -> ParsedLines:
    """Empty lines are passed over. JSON Lines may name a partition, else ``partition`` holds."""
    records: list[NewRecord] = []
    errors: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line:
            continue
        if len(records) >= MOST_LINES:
            errors.append((number, f"more than {MOST_LINES:,} lines at once"))
            break
        try:
            records.append(_parse(line, topic, form, separator, partition))
        except _Wrong as error:
            errors.append((number, str(error)))
            if len(errors) >= MOST_ERRORS:
                break
    return ParsedLines(tuple(records), tuple(errors))


def _parse(
    line: str, topic: str, form: LineForm, separator: str, partition: int | None
) -> NewRecord:
    match form:
        case LineForm.VALUES:
            return NewRecord(topic, None, line.encode("utf-8", "replace"), partition=partition)
        case LineForm.KEY_VALUE:
            key, found, value = line.partition(separator or "\t")
            if not found:
                raise _Wrong("no separator between key and value")
            return NewRecord(
                topic,
                key.encode("utf-8", "replace"),
                value.encode("utf-8", "replace"),
                partition=partition,
            )
        case LineForm.JSON_LINES:
            return parse_json_line(line, topic, partition)


def parse_json_line(line: str, topic: str, partition: int | None = None) -> NewRecord:
    try:
        found = json.loads(line)
    except RecursionError:
        raise _Wrong("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _Wrong(f"not valid JSON at character {error.pos + 1:,}") from None
    except ValueError:
        raise _Wrong("not valid JSON: a number is too long") from None
    if not isinstance(found, dict):
        raise _Wrong("not a JSON object")
    at = found.get("partition", partition) if partition is None else partition
    if at is not None and (not isinstance(at, int) or isinstance(at, bool) or at < 0):
        raise _Wrong("partition is not a number")
    stamp = found.get("timestamp_ms")
    if stamp is not None and (not isinstance(stamp, int) or isinstance(stamp, bool)):
        raise _Wrong("timestamp_ms is not a number")
    return NewRecord(
        topic,
        _field(found, "key"),
        _field(found, "value"),
        _headers(found.get("headers")),
        at,
        None if stamp is None or stamp < 0 else stamp,
    )


def _field(found: dict[str, Any], name: str) -> bytes | None:
    if (text := found.get(f"{name}_base64")) is not None:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise _Wrong(f"{name}_base64 is not base64") from None
    value = found.get(name)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _headers(found: Any) -> tuple[Header, ...]:
    if not found:
        return ()
    if isinstance(found, dict):
        return tuple(
            Header(name, _field({"value": value}, "value")) for name, value in found.items()
        )
    if not isinstance(found, list):
        raise _Wrong("headers are neither an object nor a list")
    headers = []
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise _Wrong("a header has no key")
        headers.append(Header(one["key"], _field(one, "value")))
    return tuple(headers)
