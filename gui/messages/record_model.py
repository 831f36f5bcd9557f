"""The records on the page: appended in batches while they are read, in any order, at most so many
and so large.

Keeps what was read and what is shown of it. A batch is inserted where it belongs when it lies
before or after all that is shown, which is the rule; only a batch that falls between is sorted
in. Cells are decoded when they are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, Qt
from typing_extensions import override

from kafka_client.model import Record
from kafka_client.reading.decode import Kind, preview
from kafka_client.reading.filters import Matches
from widgets import figures
from widgets.column import Column
from widgets.keyed_table_model import Index, KeyedTableModel

CELLS_CACHED = 4096
Key = tuple[int, int]
"""(partition, offset): one topic is shown at a time"""


def key_of(record: Record) -> Key:
    return record.partition, record.offset


def size_of(record: Record) -> int:
    """Bytes of key, value and headers."""
    headers = sum(len(h.key) + len(h.value or b"") for h in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def moment(timestamp_ms: int) -> str:
    """Local time with milliseconds; the day when it is not today's."""
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000)
    except (OverflowError, OSError, ValueError):
        return str(timestamp_ms)
    if timestamp_ms < 0:
        return figures.UNKNOWN
    text = f"{at:%H:%M:%S}.{timestamp_ms % 1000:03d}"
    return text if at.date() == datetime.now().date() else f"{at:%Y-%m-%d} {text}"


def exact_moment(timestamp_ms: int) -> str:
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000).astimezone()
    except (OverflowError, OSError, ValueError):
        return f"{timestamp_ms} ms since the epoch"
    return f"{at:%Y-%m-%d %H:%M:%S}.{timestamp_ms % 1000:03d} {at:%z}\n{timestamp_ms} ms since the epoch"


class Cells:
    """Decodes what is seen and keeps it."""

    def __init__(self) -> None:
        self.key_kind = Kind.GUESS
        self.value_kind = Kind.GUESS
        self._kept: dict[tuple[int, int, bool], str] = {}

    def choose(self, key: Kind, value: Kind) -> None:
        self.key_kind, self.value_kind = key, value
        self._kept.clear()

    def forget(self) -> None:
        self._kept.clear()

    def key(self, record: Record) -> str | None:
        return self._text(record, record.key, self.key_kind, True)

    def value(self, record: Record) -> str | None:
        return self._text(record, record.value, self.value_kind, False)

    def _text(self, record: Record, data: bytes | None, kind: Kind, is_key: bool) -> str | None:
        if data is None:
            return None
        at = (record.partition, record.offset, is_key)
        text = self._kept.get(at)
        if text is None:
            text = preview(data, kind)
            if len(self._kept) >= CELLS_CACHED:
                self._kept.clear()
            self._kept[at] = text
        return text


def _null(text: object) -> str:
    return "null" if text is None else str(text)


def _time(record: Record) -> int:
    return record.timestamp_ms


def _offset(record: Record) -> str:
    return str(record.offset)


def _bytes(record: Record) -> str:
    return f"{size_of(record):,} bytes"


def columns(cells: Cells) -> list[Column[Record]]:
    return [
        Column("time", "Time", _time, text=moment, width=118, tip=lambda r: exact_moment(r.timestamp_ms)),
        Column("partition", "Partition", lambda r: r.partition, numeric=True, width=80),
        Column("offset", "Offset", lambda r: r.offset, text=figures.count, numeric=True, width=96, tip=_offset),
        Column(
            "key",
            "Key",
            cells.key,
            text=_null,
            mono=True,
            width=120,
            tone=lambda r: "text_faint" if r.key is None else "",
            tip=lambda r: cells.key(r) or "",
        ),
        Column(
            "value",
            "Value",
            cells.value,
            text=_null,
            mono=True,
            stretch=True,
            width=300,
            tone=lambda r: "text_faint" if r.value is None else "",
            tip=lambda r: "A tombstone: null deletes its key where a topic is compacted." if r.value is None else "",
        ),
        Column("headers", "Headers", lambda r: len(r.headers), numeric=True, width=80, hidden=True),
        Column("size", "Size", size_of, text=figures.size, numeric=True, width=80, tip=_bytes),
    ]  # fmt: skip


SortKey = Callable[[Record], Any]
SORT_KEYS: dict[str, SortKey] = {
    "time": lambda r: (r.timestamp_ms, r.partition, r.offset),
    "partition": lambda r: (r.partition, r.offset),
    "offset": lambda r: (r.offset, r.partition),
    "key": lambda r: (r.key is not None, r.key or b"", r.partition, r.offset),
    "value": lambda r: (r.value is not None, r.value or b"", r.partition, r.offset),
    "headers": lambda r: (len(r.headers), r.partition, r.offset),
    "size": lambda r: (size_of(r), r.partition, r.offset),
}


class RecordModel(KeyedTableModel[Record]):
    """``add`` what was read; ``clear`` before another scan; ``set_limits`` for what goes on
    without end."""

    def __init__(self, cells: Cells, parent: QObject | None = None) -> None:
        super().__init__(columns(cells), key_of, parent)
        self.cells = cells
        self.dropped = 0
        """records that were let go to keep within the limits"""
        self.generation = 0
        """counts how often it was cleared"""
        self._records: list[Record] = []
        self._matching: list[Record] = []  # those of them that match, as they came
        self._up: list[
            Record
        ] = []  # what is shown: those within the time range, in ascending order
        self._sort_column, self._descending = 0, True
        self._sort_key = SORT_KEYS["time"]
        self._holds: Matches | None = None
        self._range: tuple[int, int] | None = None
        self._bytes = 0
        self._most_records, self._most_bytes = 100_000, 256 << 20

    # ---- what the page says

    def set_limits(self, records: int, total_bytes: int) -> None:
        self._most_records, self._most_bytes = records, total_bytes

    def clear(self) -> None:
        self.beginResetModel()
        self._records, self._matching, self._up, self._bytes, self.dropped = [], [], [], 0, 0
        self.generation += 1
        self.cells.forget()
        self.endResetModel()
        self.counted.emit(0, 0)

    def add(self, records: Sequence[Record]) -> int:
        """Returns how many rows came in above the first row (a view that is scrolled keeps its
        place by it)."""
        self._records += records
        self._bytes += sum(map(size_of, records))
        matching = list(records if self._holds is None else filter(self._holds, records))
        self._matching += matching
        fresh = sorted(filter(self._in_range, matching), key=self._sort_key)
        above = self._insert_sorted(fresh) if fresh else 0
        self._drop()
        self.counted.emit(len(self._up), len(self._records))
        return above

    def set_range(self, time_range: tuple[int, int] | None) -> None:
        """Show only what was written within. The whole table is told to be new: the page selects
        again."""
        self._range = time_range
        self._show_again()

    def set_matches(
        self, matches: Matches | None, matching: Sequence[Record] | None = None, seen: int = 0
    ) -> None:
        """Show only what matches. For many records the page filters the first ``seen`` in a
        worker and brings them."""
        self._holds = matches
        rest = self._records[seen:] if matching is not None else self._records
        self._matching = [*(matching or ()), *(rest if matches is None else filter(matches, rest))]
        self._show_again()

    def _show_again(self) -> None:
        self.beginResetModel()
        self._up = sorted(filter(self._in_range, self._matching), key=self._sort_key)
        self.endResetModel()
        self.counted.emit(len(self._up), len(self._records))

    def decode_as(self, key: Kind, value: Kind) -> None:
        self.cells.choose(key, value)
        if self._up:
            self.dataChanged.emit(
                self.index(0, 0), self.index(len(self._up) - 1, len(self.columns) - 1)
            )

    @override
    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sort_column = column
        self._sort_key = SORT_KEYS[self.columns[column].name]
        self._reorder(sorted(self._up, key=self._sort_key), order == Qt.SortOrder.DescendingOrder)

    # ---- what others ask

    @property
    @override
    def rows(self) -> list[Record]:
        return self._up[::-1] if self._descending else list(self._up)

    @property
    @override
    def all_rows(self) -> list[Record]:
        return list(self._records)

    @property
    def kept(self) -> int:
        return len(self._records)

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    def times(self) -> NDArray[np.int64]:
        """When each kept record that matches was written, in ms; not narrowed by the time range."""
        return np.fromiter((r.timestamp_ms for r in self._matching), np.int64, len(self._matching))

    @override
    def row_at(self, row: int) -> Record:
        return self._up[-1 - row] if self._descending else self._up[row]

    @override
    def row_of(self, key: Hashable) -> int:
        for place, record in enumerate(self._up):
            if (record.partition, record.offset) == key:
                return len(self._up) - 1 - place if self._descending else place
        return -1

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._up)

    # ---- inside

    def _in_range(self, record: Record) -> bool:
        span = self._range
        return span is None or span[0] <= record.timestamp_ms < span[1]

    def _insert_sorted(self, fresh: list[Record]) -> int:
        count, before = len(fresh), len(self._up)
        key = self._sort_key
        after_all = not self._up or key(fresh[0]) >= key(self._up[-1])
        before_all = not after_all and key(fresh[-1]) <= key(self._up[0])
        at_top = before_all if not self._descending else not before_all
        first = 0 if at_top else before
        self.beginInsertRows(QModelIndex(), first, first + count - 1)
        if before_all:
            self._up[0:0] = fresh
        else:
            self._up += fresh
        self.endInsertRows()
        if not after_all and not before_all:
            self._reorder(sorted(self._up, key=key), self._descending)
        return count if at_top and before else 0

    def _reorder(self, target: list[Record], descending: bool) -> None:
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        records = [self.row_at(index.row()) for index in held]
        self._up, self._descending = target, descending
        wanted = {id(r) for r in records}
        last = len(target) - 1
        place = {
            id(r): (last - i if self._descending else i)
            for i, r in enumerate(target)
            if id(r) in wanted
        }
        moved = [
            self.index(place[id(r)], index.column()) for r, index in zip(records, held, strict=True)
        ]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _drop(self) -> None:
        """Let the first that were read go, down to the limits."""
        count = max(0, len(self._records) - self._most_records)
        total = self._bytes - sum(map(size_of, self._records[:count]))
        while count < len(self._records) - 1 and total > self._most_bytes:
            total -= size_of(self._records[count])
            count += 1
        if not count:
            return
        gone = {id(r) for r in self._records[:count]}
        del self._records[:count]
        self._matching = [r for r in self._matching if id(r) not in gone]
        self._bytes = total
        self.dropped += count
        for start, end in reversed(_runs(i for i, r in enumerate(self._up) if id(r) in gone)):
            first = len(self._up) - end if self._descending else start
            self.beginRemoveRows(QModelIndex(), first, first + end - start - 1)
            del self._up[start:end]
            self.endRemoveRows()


def _runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, one past the last)."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs
