"""The command palette (Ctrl+K): find a topic, group, broker or page by a few letters, or run an
action. A pasted kafka-*.sh line opens the page that does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QObject, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsDropShadowEffect,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.navigation import Navigate
from resources.outgoing import visible
from widgets import fuzzy
from widgets.page_state import IconLabel
from widgets.plain import plain
from widgets.table_model import Index
from widgets.theme import Theme

SHOWN = 50
ROW = 36
WIDTH = 640
ENTRY_ROLE = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A place to go to or an action to run. ``kind`` is shown at the right: topic, group, broker,
    page, action; a higher ``weight`` ranks higher."""

    title: str
    kind: str
    icon: str
    run: Callable[[], None]
    keys: str = ""
    weight: int = 0


class _EntryModel(QAbstractListModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: list[tuple[Entry, tuple[int, ...]]] = []

    def show_entries(self, entries: list[tuple[Entry, tuple[int, ...]]]) -> None:
        """Reset the model: a new search shares no rows with the last one."""
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.entries)

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return visible(self.entries[index.row()][0].title)
        return self.entries[index.row()] if role == ENTRY_ROLE else None


class _EntryDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, ROW)

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme = self._theme
        entry, places = index.data(ENTRY_ROLE)
        rect: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("selection"))
            painter.drawRoundedRect(rect.adjusted(4, 1, -4, -1), 4, 4)
        theme.icon(entry.icon, "text_muted").paint(
            painter, QRect(rect.left() + 14, rect.center().y() - 8, 18, 18)
        )
        small = theme.ui_font(12)
        aside = f"{entry.kind}   {entry.keys}" if entry.keys else entry.kind
        wide = QFontMetrics(small).horizontalAdvance(aside)
        painter.setFont(small)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setPen(theme.color("text_muted" if selected else "text_faint"))
        painter.drawText(
            rect.adjusted(0, 0, -16, 0),
            int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
            aside,
        )
        self._title(painter, rect.adjusted(42, 0, -wide - 32, 0), visible(entry.title), places)
        painter.restore()

    def _title(self, painter: QPainter, rect: QRect, title: str, places: tuple[int, ...]) -> None:
        """Paint the matched letters bold and in the accent colour."""
        theme = self._theme
        normal, bold = theme.ui_font(), theme.ui_font(weight=QFont.Weight.Bold)
        matched = set(places)
        x = rect.left()
        start = 0
        while start < len(title) and x < rect.right():
            hit = start in matched
            end = start + 1
            while end < len(title) and (end in matched) == hit:
                end += 1
            font = bold if hit else normal
            piece = QFontMetrics(font).elidedText(
                title[start:end], Qt.TextElideMode.ElideRight, rect.right() - x
            )
            painter.setFont(font)
            painter.setPen(theme.color("accent" if hit else "text"))
            painter.drawText(
                QRect(x, rect.top(), rect.right() - x, rect.height()),
                int(Qt.AlignmentFlag.AlignVCenter),
                piece,
            )
            x += QFontMetrics(font).horizontalAdvance(piece)
            start = end


class CommandPalette(QFrame):
    """Shown over ``host``. ``entries`` is called each time it opens; ``navigate`` opens the target
    of a pasted line."""

    def __init__(
        self,
        theme: Theme,
        host: QWidget,
        entries: Callable[[], Iterable[Entry]],
        navigate: Navigate,
    ) -> None:
        super().__init__(host)
        self._host, self._make_entries, self._navigate = host, entries, navigate
        self._entries: list[Entry] = []
        self._before: QWidget | None = None
        self.setProperty("role", "palette")
        shadow = QGraphicsDropShadowEffect(self)
        shadow.setBlurRadius(48)
        shadow.setOffset(0, 12)
        shadow.setColor(QColor(0, 0, 0, 90))
        self.setGraphicsEffect(shadow)
        self.box = QLineEdit(self)
        self.box.setPlaceholderText(
            "Go to a topic, group, broker or page, or paste a kafka-*.sh command"
        )
        self.box.textChanged.connect(self._search)
        self.box.installEventFilter(self)
        self._model = _EntryModel(self)
        self.list = QListView(self)
        self.list.setModel(self._model)
        self.list.setItemDelegate(_EntryDelegate(theme, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.clicked.connect(lambda _: self._run())
        self._line = QFrame(self)
        self._line.setProperty("role", "line")
        self._no_match = plain("", self, role="muted")
        self._no_match.setContentsMargins(18, 12, 18, 12)
        head = QHBoxLayout()
        head.setContentsMargins(14, 4, 12, 4)
        head.setSpacing(4)
        head.addWidget(IconLabel(theme, "search", 20, parent=self))
        head.addWidget(self.box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 6)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._line)
        layout.addSpacing(4)
        layout.addWidget(self.list)
        layout.addWidget(self._no_match)
        host.installEventFilter(self)
        self.hide()

    def open_palette(self) -> None:
        self._entries = list(self._make_entries())
        self._before = self._host.focusWidget()
        self.box.clear()
        self._search("")
        self.show()
        self.raise_()
        self.box.setFocus()

    def close_palette(self) -> None:
        self.hide()
        if self._before is not None:
            self._before.setFocus()
            self._before = None

    @property
    def found(self) -> list[Entry]:
        return [entry for entry, _ in self._model.entries]

    def _search(self, text: str) -> None:
        from gui import command_line  # not needed for the first paint

        if command_line.looks_like_one(text):
            equivalent = command_line.read(text)
            entries = (
                []
                if equivalent is None
                else [
                    Entry(
                        equivalent.title,
                        equivalent.note,
                        "terminal",
                        lambda: self._navigate(equivalent.target),
                    )
                ]
            )
            self._show([(entry, ()) for entry in entries], "No page does the same as this command.")
            return
        scored: list[tuple[int, int, Entry, tuple[int, ...]]] = []
        for entry in self._entries:
            fit = fuzzy.score(text, entry.title)
            if fit is not None:
                scored.append((-(fit[0] + entry.weight), len(scored), entry, fit[1]))
        scored.sort(key=lambda item: item[:2])
        self._show(
            [(entry, places) for _, _, entry, places in scored[:SHOWN]],
            f"No match for “{visible(text, limit=60)}”.",
        )

    def _show(self, found: list[tuple[Entry, tuple[int, ...]]], nothing: str) -> None:
        self._model.show_entries(found)
        self._no_match.setText(nothing)
        self._no_match.setVisible(not found)
        self.list.setVisible(bool(found))
        if found:
            self.list.setCurrentIndex(self._model.index(0, 0))
        self.list.setFixedHeight(min(len(found), 11) * ROW + 4)
        self._place()

    def _place(self) -> None:
        width = min(WIDTH, self._host.width() - 48)
        self.setFixedWidth(width)
        self.adjustSize()
        self.move((self._host.width() - width) // 2, 72)

    def _run(self) -> None:
        index = self.list.currentIndex()
        if index.isValid():
            entry = self._model.entries[index.row()][0]
            self.close_palette()
            entry.run()

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            watched is self.box
            and isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
        ):
            return self._key(event)
        if watched is self.box and event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.hide()
        if watched is self._host and event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def _key(self, event: QKeyEvent) -> bool:
        rows = self._model.rowCount()
        row = self.list.currentIndex().row()
        match event.key():
            case Qt.Key.Key_Escape:
                self.close_palette()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._run()
            case Qt.Key.Key_Down | Qt.Key.Key_Up if rows:
                step = 1 if event.key() == Qt.Key.Key_Down else -1
                self.list.setCurrentIndex(self._model.index((row + step) % rows, 0))
            case Qt.Key.Key_PageDown | Qt.Key.Key_PageUp if rows:
                step = 10 if event.key() == Qt.Key.Key_PageDown else -10
                self.list.setCurrentIndex(self._model.index(min(max(row + step, 0), rows - 1), 0))
            case _:
                return False
        return True
