"""The columns of the record table: decoded cells, times and sizes, and how each column sorts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kafka_client.model import Record
from kafka_client.reading.decode import Kind, preview
from resources.wording import counted
from widgets import figures
from widgets.column import Column, as_text

CELLS_CACHED = 4096
Key = tuple[int, int]
"""(partition, offset); the table shows one topic at a time"""


def key_of(record: Record) -> Key:
    return record.partition, record.offset


def size_of(record: Record) -> int:
    """Bytes of key, value and headers."""
    headers = sum(len(h.key) + len(h.value or b"") for h in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def local_time(timestamp_ms: int) -> str:
    """Local time with milliseconds, and the date unless it is today's."""
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000)
    except (OverflowError, OSError, ValueError):
        return str(timestamp_ms)
    if timestamp_ms < 0:
        return figures.UNKNOWN
    text = f"{at:%H:%M:%S}.{timestamp_ms % 1000:03d}"
    return text if at.date() == datetime.now().date() else f"{at:%Y-%m-%d} {text}"


def exact_time(timestamp_ms: int) -> str:
    """Two lines: local date and time with its UTC offset, and milliseconds since the epoch."""
    epoch = f"{timestamp_ms} ms since the epoch"
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000).astimezone()
    except (OverflowError, OSError, ValueError):
        return epoch
    return f"{at:%Y-%m-%d %H:%M:%S}.{timestamp_ms % 1000:03d} {at:%z}\n{epoch}"


class CellDecoder:
    """Decodes keys and values when a cell is painted, and caches their texts."""

    def __init__(self) -> None:
        self.key_kind = Kind.GUESS
        self.value_kind = Kind.GUESS
        self._texts: dict[tuple[int, int, bool], str] = {}
        """(partition, offset, is the key) -> text"""

    def choose(self, key: Kind, value: Kind) -> None:
        self.key_kind, self.value_kind = key, value
        self._texts.clear()

    def clear(self) -> None:
        self._texts.clear()

    def key(self, record: Record) -> str | None:
        return self._text(record, record.key, self.key_kind, True)

    def value(self, record: Record) -> str | None:
        return self._text(record, record.value, self.value_kind, False)

    def _text(self, record: Record, data: bytes | None, kind: Kind, is_key: bool) -> str | None:
        if data is None:
            return None
        at = (record.partition, record.offset, is_key)
        text = self._texts.get(at)
        if text is None:
            text = preview(data, kind)
            if len(self._texts) >= CELLS_CACHED:
                self._texts.clear()
            self._texts[at] = text
        return text


def unreadable_text(record: Record) -> str:
    """The sentence in place of offsets that could not be read; empty for a record."""
    if record.unreadable is None:
        return ""
    first, last = record.offset, record.unreadable.last_offset
    offsets = f"Offset {first:,}" if first == last else f"Offsets {first:,} to {last:,}"
    return f"{offsets} cannot be read. {record.unreadable.why}"


def _null(text: object) -> str:
    return "null" if text is None else str(text)


def _time_of(record: Record) -> int | None:
    return None if record.unreadable else record.timestamp_ms


def _time(timestamp_ms: int | None) -> str:
    return figures.UNKNOWN if timestamp_ms is None else local_time(timestamp_ms)


def _size_tip(record: Record) -> str:
    return "" if record.unreadable else counted(size_of(record), "byte")


def _value_tip(record: Record) -> str:
    if record.unreadable is None and record.value is None:
        return "A tombstone: in a compacted topic, null deletes the key."
    return unreadable_text(record)


def _value_tone(record: Record) -> str:
    if record.unreadable is not None:
        return "warn"
    return "text_faint" if record.value is None else ""


def record_columns(decoder: CellDecoder) -> list[Column[Record]]:
    return [
        Column("time", "Time", _time_of, text=_time, width=118,
               tip=lambda r: "" if r.unreadable else exact_time(r.timestamp_ms)),
        Column("partition", "Partition", lambda r: r.partition, numeric=True, width=76),
        Column("offset", "Offset", lambda r: r.offset, text=figures.count, numeric=True, width=84,
               tip=lambda r: str(r.offset)),
        Column("key", "Key", lambda r: "" if r.unreadable else decoder.key(r), text=_null,
               mono=True, width=104,
               tone=lambda r: "text_faint" if r.key is None else "",
               tip=lambda r: decoder.key(r) or ""),
        Column("value", "Value", lambda r: unreadable_text(r) or decoder.value(r), text=_null,
               mono=True, stretch=True, width=300, tone=_value_tone, tip=_value_tip,
               icon=lambda r: "warning" if r.unreadable else ""),
        Column("headers", "Headers", lambda r: None if r.unreadable else len(r.headers),
               text=as_text, numeric=True, width=80, hidden=True),
        Column("size", "Size", lambda r: None if r.unreadable else size_of(r),
               text=lambda size: figures.UNKNOWN if size is None else figures.size(size),
               numeric=True, width=72, tip=_size_tip),
    ]  # fmt: skip


SortKey = Callable[[Record], Any]
SORT_KEYS: dict[str, SortKey] = {
    "time": lambda r: (r.order_ms, r.partition, r.offset),
    "partition": lambda r: (r.partition, r.offset),
    "offset": lambda r: (r.offset, r.partition),
    "key": lambda r: (r.key is not None, r.key or b"", r.partition, r.offset),
    "value": lambda r: (r.value is not None, r.value or b"", r.partition, r.offset),
    "headers": lambda r: (len(r.headers), r.partition, r.offset),
    "size": lambda r: (size_of(r), r.partition, r.offset),
}
"""Column name -> a total order of records; null keys and values sort first."""
