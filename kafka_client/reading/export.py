"""Writes records to files: JSON Lines, which lose nothing, and CSV, which a spreadsheet can open
without running anything."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kafka_client.model import Record
from kafka_client.reading.decode import Kind, decode
from resources.outgoing import CsvWriter

CSV_COLUMNS = (
    "topic",
    "partition",
    "offset",
    "timestamp_ms",
    "timestamp_type",
    "key",
    "value",
    "headers",
)


def _bytes_field(name: str, data: bytes | None) -> dict[str, Any]:
    """``name`` with text, or ``<name>_base64`` with other bytes; null stays null."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode("ascii")}


def json_line(record: Record) -> str:
    """One JSON object without a line end; ``lines.parse_json_line`` reads it."""
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            "timestamp_type": record.timestamp_type,
            **_bytes_field("key", record.key),
            **_bytes_field("value", record.value),
            "headers": [{"key": h.key, **_bytes_field("value", h.value)} for h in record.headers],
        },
        ensure_ascii=True,
    )


def csv_rows(
    records: Iterable[Record], key: Kind = Kind.GUESS, value: Kind = Kind.GUESS
) -> Iterator[str]:
    """Rows of RFC 4180, the column titles first; bytes are decoded as the viewer shows them."""
    out = io.StringIO()
    writer = CsvWriter(out)
    writer.row(CSV_COLUMNS)
    for record in records:
        headers = json.dumps(
            [[h.key, None if h.value is None else decode(h.value).text] for h in record.headers]
        )
        writer.row(
            [
                record.topic,
                record.partition,
                record.offset,
                record.timestamp_ms,
                record.timestamp_type,
                _cell(record.key, key),
                _cell(record.value, value),
                headers if record.headers else "",
            ]
        )
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _cell(data: bytes | None, kind: Kind) -> str:
    return "" if data is None else decode(data, kind).text.replace("\0", "\u2400")


def write(
    path: Path,
    records: Iterable[Record],
    form: str,
    key: Kind = Kind.GUESS,
    value: Kind = Kind.GUESS,
) -> int:
    """Write all records to the file and return its size in bytes; marks of what could not be read
    are left out. ``form``: csv or jsonl. Blocks: call in a worker thread. Raises: OSError."""
    records = (record for record in records if record.unreadable is None)
    rows = (
        csv_rows(records, key, value) if form == "csv" else (json_line(r) + "\n" for r in records)
    )
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        for row in rows:
            file.write(row)
        return file.tell()
