"""The records that the Messages page has read, appended in batches while a scan runs.

The model keeps what was read, the records among it that match the filter, and the matching ones
in the chosen time range, sorted. A batch usually lies before or after everything shown and is
inserted there; only a batch in between is sorted in. Cells are decoded when they are painted.
GUI thread only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, Qt
from typing_extensions import override

from gui.messages.record_columns import SORT_KEYS, CellDecoder, key_of, record_columns, size_of
from kafka_client.model import Record
from kafka_client.reading.decode import Kind
from kafka_client.reading.filters import Matches
from widgets.table_model import Index, TableModel

MAX_RECORDS = 100_000
MAX_BYTES = 256 << 20


class RecordModel(TableModel[Record]):
    """``clear`` before each scan, ``set_limits`` for it, then ``add`` what it reads."""

    def __init__(self, decoder: CellDecoder, parent: QObject | None = None) -> None:
        super().__init__(record_columns(decoder), parent)
        self.decoder = decoder
        self.evicted = 0
        """records removed again to stay within the limits"""
        self.generation = 0
        """number of times the model was cleared"""
        self._records: list[Record] = []
        """everything read and kept, in order of arrival"""
        self._matching: list[Record] = []
        """the records that match the filter, in order of arrival"""
        self._ascending: list[Record] = []
        """the records shown, in ascending order; ``_descending`` shows them upside down"""
        self._sort_column, self._descending = 0, True
        self._sort_key = SORT_KEYS["time"]
        self._matches: Matches | None = None
        self._range: tuple[int, int] | None = None
        self._bytes = 0
        self._max_records, self._max_bytes = MAX_RECORDS, MAX_BYTES

    # ---- changes

    def set_limits(self, records: int, total_bytes: int) -> None:
        """Beyond these the oldest arrivals are evicted."""
        self._max_records, self._max_bytes = records, total_bytes

    def clear(self) -> None:
        self.beginResetModel()
        self._records, self._matching, self._ascending = [], [], []
        self._bytes, self.evicted = 0, 0
        self.generation += 1
        self.decoder.clear()
        self.endResetModel()
        self.counted.emit(0, 0)

    def add(self, records: Sequence[Record]) -> int:
        """Append a batch. Return how many rows were inserted above the first row.

        A scrolled view keeps its place by that number.
        """
        self._records += records
        self._bytes += sum(map(size_of, records))
        matching = list(records if self._matches is None else filter(self._matches, records))
        self._matching += matching
        fresh = sorted(filter(self._in_range, matching), key=self._sort_key)
        above = self._insert_sorted(fresh) if fresh else 0
        self._evict()
        self.counted.emit(len(self._ascending), len(self._records))
        return above

    def set_range(self, time_range: tuple[int, int] | None) -> None:
        """Show only records with a timestamp in [first, last) ms. Resets the model."""
        self._range = time_range
        self._show_matching()

    def set_matches(
        self, matches: Matches | None, matching: Sequence[Record] | None = None, seen: int = 0
    ) -> None:
        """Show only matching records. Resets the model.

        For many records the caller filters the first ``seen`` in a worker and passes the result
        as ``matching``; the rest is filtered here.
        """
        self._matches = matches
        rest = self._records[seen:] if matching is not None else self._records
        self._matching = [*(matching or ()), *(rest if matches is None else filter(matches, rest))]
        self._show_matching()

    def _show_matching(self) -> None:
        self.beginResetModel()
        self._ascending = sorted(filter(self._in_range, self._matching), key=self._sort_key)
        self.endResetModel()
        self.counted.emit(len(self._ascending), len(self._records))

    def decode_as(self, key: Kind, value: Kind) -> None:
        self.decoder.choose(key, value)
        if self._ascending:
            last = self.index(len(self._ascending) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    @override
    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sort_column = column
        self._sort_key = SORT_KEYS[self.columns[column].name]
        self._reorder(
            sorted(self._ascending, key=self._sort_key), order == Qt.SortOrder.DescendingOrder
        )

    # ---- rows

    @property
    @override
    def rows(self) -> list[Record]:
        return self._ascending[::-1] if self._descending else list(self._ascending)

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
        """Timestamps in ms of the kept records that match, whatever the time range; int64[n]."""
        times = [r.timestamp_ms for r in self._matching if r.unreadable is None]
        return np.fromiter(times, np.int64, len(times))

    @override
    def row_at(self, row: int) -> Record:
        return self._ascending[-1 - row] if self._descending else self._ascending[row]

    @override
    def row_of(self, key: Hashable) -> int:
        for index, record in enumerate(self._ascending):
            if key_of(record) == key:
                return len(self._ascending) - 1 - index if self._descending else index
        return -1

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's signature)
        return 0 if parent.isValid() else len(self._ascending)

    # ---- order

    def _in_range(self, record: Record) -> bool:
        span = self._range
        return span is None or span[0] <= record.timestamp_ms < span[1]

    def _insert_sorted(self, fresh: list[Record]) -> int:
        count, before = len(fresh), len(self._ascending)
        key = self._sort_key
        after_all = not self._ascending or key(fresh[0]) >= key(self._ascending[-1])
        before_all = not after_all and key(fresh[-1]) <= key(self._ascending[0])
        at_top = before_all if not self._descending else not before_all
        first = 0 if at_top else before
        self.beginInsertRows(QModelIndex(), first, first + count - 1)
        if before_all:
            self._ascending[0:0] = fresh
        else:
            self._ascending += fresh
        self.endInsertRows()
        if not after_all and not before_all:
            # Inserted at one end for now, so that views see an insertion; sort them in.
            self._reorder(sorted(self._ascending, key=key), self._descending)
        return count if at_top and before else 0

    def _reorder(self, target: list[Record], descending: bool) -> None:
        self.layoutAboutToBeChanged.emit()
        persistent = self.persistentIndexList()
        records = [self.row_at(index.row()) for index in persistent]
        self._ascending, self._descending = target, descending
        wanted = {id(r) for r in records}
        last = len(target) - 1
        place = {
            id(r): (last - i if descending else i) for i, r in enumerate(target) if id(r) in wanted
        }
        moved = [
            self.index(place[id(r)], index.column())
            for r, index in zip(records, persistent, strict=True)
        ]
        self.changePersistentIndexList(persistent, moved)
        self.layoutChanged.emit()

    def _evict(self) -> None:
        """Remove the oldest arrivals beyond the limits. The last record stays, however large."""
        count = max(0, len(self._records) - self._max_records)
        total = self._bytes - sum(map(size_of, self._records[:count]))
        while count < len(self._records) - 1 and total > self._max_bytes:
            total -= size_of(self._records[count])
            count += 1
        if not count:
            return
        gone = {id(r) for r in self._records[:count]}
        del self._records[:count]
        self._matching = [r for r in self._matching if id(r) not in gone]
        self._bytes = total
        self.evicted += count
        runs = _runs(i for i, r in enumerate(self._ascending) if id(r) in gone)
        for start, end in reversed(runs):
            first = len(self._ascending) - end if self._descending else start
            self.beginRemoveRows(QModelIndex(), first, first + end - start - 1)
            del self._ascending[start:end]
            self.endRemoveRows()


def _runs(indexes: Iterable[int]) -> list[tuple[int, int]]:
    """Group ascending numbers into runs (first, one past the last)."""
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
