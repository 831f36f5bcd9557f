"""The list of what changed in the cluster, newest first. A click opens the thing concerned."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget
from typing_extensions import override

from kafka_client.changes import Change, ChangeKind
from resources.outgoing import visible
from widgets import figures
from widgets.page_state import EmptyState
from widgets.plain import tooltip
from widgets.table_model import Index
from widgets.theme import Theme

KEPT = 500
CHANGE_ROLE = Qt.ItemDataRole.UserRole + 1
SIGNS: dict[ChangeKind, tuple[str, str]] = {
    ChangeKind.LEADER_MOVED: ("arrow-right", "text_muted"),
    ChangeKind.LEADER_LOST: ("warning", "bad"),
    ChangeKind.ISR_SHRANK: ("minus", "warn"),
    ChangeKind.ISR_GREW: ("plus", "ok"),
    ChangeKind.REPLICAS_CHANGED: ("replicas", "text_muted"),
    ChangeKind.BROKER_UP: ("brokers", "ok"),
    ChangeKind.BROKER_DOWN: ("brokers", "bad"),
    ChangeKind.CONTROLLER_MOVED: ("crown", "text_muted"),
    ChangeKind.TOPIC_CREATED: ("topics", "ok"),
    ChangeKind.TOPIC_DELETED: ("topics", "warn"),
    ChangeKind.PARTITIONS_ADDED: ("topics", "text_muted"),
    ChangeKind.GROUP_APPEARED: ("groups", "ok"),
    ChangeKind.GROUP_GONE: ("groups", "warn"),
    ChangeKind.GROUP_STATE: ("groups", "text_muted"),
    ChangeKind.MEMBER_JOINED: ("member", "ok"),
    ChangeKind.MEMBER_LEFT: ("member", "warn"),
}
"""kind of change -> icon and tone"""

HOW_TO = "Click to show that time in the charts, double-click to open it"


class ChangeModel(QAbstractListModel):
    """Newest first; keeps the last KEPT changes."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._changes: list[Change] = []

    def add(self, changes: list[Change]) -> None:
        """Insert new changes, given oldest first as the session keeps them."""
        if not changes:
            return
        self.beginInsertRows(QModelIndex(), 0, len(changes) - 1)
        self._changes[:0] = reversed(changes)
        self.endInsertRows()
        if len(self._changes) > KEPT:
            self.beginRemoveRows(QModelIndex(), KEPT, len(self._changes) - 1)
            del self._changes[KEPT:]
            self.endRemoveRows()

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._changes)

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        change = self._changes[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return visible(change.text)
            case Qt.ItemDataRole.ToolTipRole:
                when = f"{figures.clock(change.at_s)}  {change.kind.value}"
                return tooltip(f"{when}\n{change.text}\n{HOW_TO}")
            case _ if role == CHANGE_ROLE:
                return change
        return None


class _ChangeDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme
        self._font, self._small = theme.ui_font(12), theme.ui_font(11)

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(160, 44)

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme = self._theme
        change: Change = index.data(CHANGE_ROLE)
        rect: QRect = option.rect
        if option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.color("hover"))
        icon, tone = SIGNS[change.kind]
        theme.icon(icon, tone).paint(painter, QRect(rect.left() + 12, rect.top() + 8, 16, 16))
        painter.setFont(self._small)
        painter.setPen(theme.color("text_faint"))
        at = figures.clock(change.at_s)
        aside = QFontMetrics(self._small).horizontalAdvance(at)
        painter.drawText(
            QRectF(rect.right() - aside - 12, rect.top() + 7, aside, 16),
            int(Qt.AlignmentFlag.AlignVCenter),
            at,
        )
        painter.setFont(self._font)
        painter.setPen(theme.color("text"))
        room = QRect(rect.left() + 38, rect.top() + 6, rect.width() - 38 - aside - 24, 34)
        flags = int(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        )
        painter.drawText(
            room, flags, _two_lines(visible(change.text), QFontMetrics(self._font), room.width())
        )


def _two_lines(words: str, metrics: QFontMetrics, width: int) -> str:
    """Cut the text so that it wraps into at most two lines."""
    return metrics.elidedText(words, Qt.TextElideMode.ElideRight, int(width * 1.85))


class ChangeList(QListView):
    change_chosen = Signal(Change)
    """Clicked: show that time."""
    change_opened = Signal(Change)
    """Double-clicked: go to the topic, group or broker."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.changes = ChangeModel(self)
        self.setModel(self.changes)
        self.setItemDelegate(_ChangeDelegate(theme, self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QListView.SelectionMode.NoSelection)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(lambda index: self.change_chosen.emit(index.data(CHANGE_ROLE)))
        self.doubleClicked.connect(lambda index: self.change_opened.emit(index.data(CHANGE_ROLE)))
        self._empty = EmptyState(theme, self.viewport())
        self._empty.show_words(
            "activity",
            "Nothing has changed",
            "Leader moves, in-sync sets, brokers, groups and topics appear here.",
        )
        self.changes.rowsInserted.connect(lambda *_: self._empty.hide())
