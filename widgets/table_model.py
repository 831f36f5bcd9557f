"""The base of the table models: cells, titles and tooltips from columns.

A model says which rows it shows and in which order; everything that Qt asks about a cell is
answered here, from the column's functions. GUI thread only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Generic

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from typing_extensions import override

from resources.outgoing import visible
from widgets.column import Column, R
from widgets.plain import tooltip

Index = QModelIndex | QPersistentModelIndex

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
"""the row itself"""
VALUE_ROLE = Qt.ItemDataRole.UserRole + 2
"""the exact value of the cell"""
TONE_ROLE = Qt.ItemDataRole.UserRole + 3
ICON_ROLE = Qt.ItemDataRole.UserRole + 4

LONG_TEXT = 24
"""characters; longer cells repeat their text in the tooltip, as the column may cut it"""
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class TableModel(QAbstractTableModel, Generic[R]):
    """Rows of one type under fixed columns."""

    counted = Signal(int, int)
    """rows shown and rows in all, after each change of either"""

    def __init__(self, columns: Sequence[Column[R]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._sort_column = -1
        self._descending = False

    # ---- to implement

    @property
    @abstractmethod
    def rows(self) -> list[R]:
        """The rows shown, from top to bottom."""

    @property
    @abstractmethod
    def all_rows(self) -> list[R]:
        """All rows, also those that a filter hides."""

    @abstractmethod
    def row_at(self, row: int) -> R:
        """The row shown at this place, counted from the top."""

    @abstractmethod
    def row_of(self, key: Hashable) -> int:
        """The place at which the row of this key is shown, or -1."""

    # ---- columns

    @property
    def sorted_by(self) -> tuple[int, bool]:
        """(column or -1, descending)."""
        return self._sort_column, self._descending

    def column_of(self, name: str) -> int:
        """Raises: StopIteration for a name that no column has."""
        return next(i for i, column in enumerate(self.columns) if column.name == name)

    # ---- Qt

    @override
    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's signature)
        return 0 if parent.isValid() else len(self.columns)

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.row_at(index.row())
        column = self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return visible(column.text(column.value(row))) if column.paint != "spark" else None
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if column.numeric else _LEFT
            case Qt.ItemDataRole.ToolTipRole:
                return tooltip(_tip(row, column))
            case _ if role == VALUE_ROLE:
                return column.value(row)
            case _ if role == ROW_ROLE:
                return row
            case _ if role == TONE_ROLE:
                return column.tone(row) if column.tone else ""
            case _ if role == ICON_ROLE:
                return column.icon(row) if column.icon else ""
        return None

    @override
    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.title
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if column.numeric else _LEFT
            case Qt.ItemDataRole.ToolTipRole:
                return tooltip(column.help)
        return None


def _tip(row: R, column: Column[R]) -> str:
    """The column's own tooltip, else the exact value where the cell rounds or may cut it."""
    if column.tip:
        return column.tip(row)
    value = column.value(row)
    if column.paint in ("spark", "bar") or value is None:
        return ""
    text = column.text(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    exact = f"{value:,}" if is_number else str(value)
    return exact if exact != text or len(text) > LONG_TEXT else ""
