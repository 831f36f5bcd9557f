"""The model of every live table: rows have keys, and ``merge`` brings in the next snapshot.

There is no reset, so the selection, the current row and the scroll position stay. Sorting and
filtering work on Python values, not in a proxy: a proxy calls data() for every comparison,
which cost 1.3-2 s on 10,000 rows where ``sorted`` needs 10 ms. A merge emits removals,
insertions, at most one layout change (only when the order changed), and dataChanged for runs of
changed rows. GUI thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, Qt
from typing_extensions import override

from widgets.column import Column, R
from widgets.table_model import Index, TableModel

_RUNS_MAX = 64
"""more separate runs of changed rows than this are emitted as one"""


class KeyedTableModel(TableModel[R]):
    """``merge`` brings in all rows of a snapshot.

    Rows are values that compare with ``==``; ``key`` returns what identifies a row.
    """

    def __init__(
        self,
        columns: Sequence[Column[R]],
        key: Callable[[R], Hashable],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(columns, parent)
        self.key = key
        self._all: dict[Hashable, R] = {}
        self._shown: list[Hashable] = []
        """keys of the rows shown, from top to bottom"""
        self._place: dict[Hashable, int] = {}
        """key -> index in ``_shown``"""
        self._needle = ""
        self._accept: Callable[[R], bool] | None = None

    # ---- changes

    def merge(self, rows: Iterable[R]) -> None:
        """Replace the rows with these. A row equal to its predecessor is not touched."""
        new = {self.key(row): row for row in rows}
        old = self._all
        changed = [k for k, row in new.items() if k in old and old[k] is not row and old[k] != row]
        self._all = old | new  # views still read removed rows while they are removed
        self._arrange(changed, new)

    def set_filter(self, needle: str) -> None:
        """Show the rows whose text contains every word of ``needle``, ignoring case."""
        if needle != self._needle:
            self._needle = needle
            self._arrange(())

    def set_accept(self, accept: Callable[[R], bool] | None) -> None:
        """Show only rows for which ``accept`` is true, e.g. to hide internal topics."""
        self._accept = accept
        self._arrange(())

    @override
    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sort_column = column if column < len(self.columns) else -1
        self._descending = order == Qt.SortOrder.DescendingOrder
        self._arrange(())

    # ---- rows

    @property
    @override
    def rows(self) -> list[R]:
        return [self._all[k] for k in self._shown]

    @property
    @override
    def all_rows(self) -> list[R]:
        return list(self._all.values())

    @override
    def row_at(self, row: int) -> R:
        return self._all[self._shown[row]]

    @override
    def row_of(self, key: Hashable) -> int:
        return self._place.get(key, -1)

    # ---- order

    def _matches(self, row: R, words: list[str]) -> bool:
        if self._accept is not None and not self._accept(row):
            return False
        if not words:
            return True
        text = "\n".join(c.text(c.value(row)) for c in self.columns if c.paint != "spark").lower()
        return all(word in text for word in words)

    def _target(self, rows: dict[Hashable, R]) -> list[Hashable]:
        words = self._needle.lower().split()
        if words or self._accept is not None:
            keys = [k for k, row in rows.items() if self._matches(row, words)]
        else:
            keys = list(rows)
        if self._sort_column < 0:
            return keys
        value = self.columns[self._sort_column].value
        known: list[tuple[Any, Hashable]] = []
        unknown: list[tuple[Any, Hashable]] = []
        for k in keys:
            v = value(rows[k])
            (unknown if v is None or v != v else known).append((v, k))
        try:
            known.sort(key=lambda pair: _folded(pair[0]), reverse=self._descending)
        except TypeError:  # values of mixed kinds
            known.sort(key=lambda pair: str(pair[0]), reverse=self._descending)
        # unknown values stand last in either direction
        return [k for _, k in known] + [k for _, k in unknown]

    def _arrange(self, changed: Iterable[Hashable], rows: dict[Hashable, R] | None = None) -> None:
        rows = self._all if rows is None else rows
        target = self._target(rows)
        wanted = set(target)
        self._remove_others(wanted)
        self._all = rows
        present = set(self._shown)
        fresh = [k for k in target if k not in present]
        if fresh and len(target) == len(self._shown) + len(fresh):
            self._insert(target, present)
        if self._shown != target:
            self._permute(target)
        self._emit_changed(changed)
        self.counted.emit(len(self._shown), len(self._all))

    def _remove_others(self, wanted: set[Hashable]) -> None:
        end = len(self._shown)
        while end > 0:
            if self._shown[end - 1] in wanted:
                end -= 1
                continue
            start = end - 1
            while start > 0 and self._shown[start - 1] not in wanted:
                start -= 1
            self.beginRemoveRows(QModelIndex(), start, end - 1)
            del self._shown[start:end]
            self._number()
            self.endRemoveRows()
            end = start

    def _insert(self, target: list[Hashable], present: set[Hashable]) -> None:
        """Insert new rows in place if the rows that stay keep their order, else append them.

        ``_permute`` then moves appended rows to their places.
        """
        stay = [k for k in target if k in present]
        if stay != self._shown:
            fresh = [k for k in target if k not in present]
            at = len(self._shown)
            self.beginInsertRows(QModelIndex(), at, at + len(fresh) - 1)
            self._shown += fresh
            self._number()
            self.endInsertRows()
            return
        at = 0
        while at < len(target):
            if target[at] in present:
                at += 1
                continue
            end = at
            while end < len(target) and target[end] not in present:
                end += 1
            self.beginInsertRows(QModelIndex(), at, end - 1)
            self._shown[at:at] = target[at:end]
            self._number()
            self.endInsertRows()
            at = end

    def _permute(self, target: list[Hashable]) -> None:
        self.layoutAboutToBeChanged.emit()
        persistent = self.persistentIndexList()
        keys = [self._shown[index.row()] for index in persistent]
        self._shown = target
        self._number()
        moved = [
            self.index(self._place[k], index.column())
            for k, index in zip(keys, persistent, strict=True)
        ]
        self.changePersistentIndexList(persistent, moved)
        self.layoutChanged.emit()

    def _number(self) -> None:
        self._place = {k: i for i, k in enumerate(self._shown)}

    def _emit_changed(self, changed: Iterable[Hashable]) -> None:
        places = sorted(self._place[k] for k in changed if k in self._place)
        if not places:
            return
        runs: list[list[int]] = []
        for place in places:
            if runs and place == runs[-1][1] + 1:
                runs[-1][1] = place
            else:
                runs.append([place, place])
        if len(runs) > _RUNS_MAX:
            runs = [[places[0], places[-1]]]
        last = len(self.columns) - 1
        for top, bottom in runs:
            self.dataChanged.emit(self.index(top, 0), self.index(bottom, last))

    # ---- Qt

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's signature)
        return 0 if parent.isValid() else len(self._shown)


def _folded(value: Any) -> Any:
    """Text sorts without regard to case, and equal ignoring case by case."""
    return (value.casefold(), value) if isinstance(value, str) else value
