"""The left rail: clusters with their state, and below them the pages of the chosen one. It
collapses to icons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.pages import PageSpec
from resources.outgoing import visible
from widgets.keys import click_on_enter
from widgets.page_state import IconLabel
from widgets.plain import plain, tooltip, without_mnemonic
from widgets.status_mark import draw_status_mark
from widgets.theme import Theme

WIDE, NARROW = 216, 56


def environment_color(colour: str) -> QColor | None:
    """A profile's own colour ("#rrggbb"), or None when it has none."""
    return QColor(colour) if colour else None


class RailButton(QAbstractButton):
    """One line of the rail: an icon or a health dot, a name, a lock on a read-only cluster."""

    def __init__(
        self,
        theme: Theme,
        words: str,
        *,
        icon: str = "",
        dot: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self.icon_name = icon
        self.dot = dot
        self.environment = ""
        self.read_only = False
        self.faint = False
        self.narrow = False
        self.words = ""
        self.show_words(words)
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme.changed.connect(self.update)

    @override
    def sizeHint(self) -> QSize:
        return QSize(40, 32)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not click_on_enter(self, event):
            super().keyPressEvent(event)

    def show_words(self, words: str) -> None:
        self.words = words
        self.setText(without_mnemonic(words))
        self.setAccessibleName(visible(words))
        self.update()

    def set_narrow(self, narrow: bool) -> None:
        self.narrow = narrow
        self.setToolTip(tooltip(self.words) if narrow else "")
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent_soft" if self.isChecked() else "hover"))
            painter.drawRoundedRect(box, 4, 4)
        if self.hasFocus():
            painter.setPen(theme.color("accent"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 4, 4)
        color = environment_color(self.environment)
        if color is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(0, 6, 3, self.height() - 12), 1.5, 1.5)
        tone = "text" if self.isChecked() else "text_faint" if self.faint else "text_muted"
        middle = self.height() / 2
        left = self.width() / 2 if self.narrow else 20.0
        if self.dot:
            draw_status_mark(painter, QPointF(left, middle), theme, self.dot)
        elif self.icon_name:
            icon_tone = "accent" if self.isChecked() else tone
            theme.icon(self.icon_name, icon_tone).paint(
                painter, int(left - 9), int(middle - 9), 18, 18
            )
        if not self.narrow:
            self._paint_words(painter, tone)
        painter.end()

    def _paint_words(self, painter: QPainter, tone: str) -> None:
        theme = self._theme
        font = theme.ui_font(
            13, theme.ui_font().Weight.Medium if self.isChecked() else theme.ui_font().Weight.Normal
        )
        right = self.width() - 8
        if self.read_only:
            right -= 18
            theme.icon("lock", "text_faint").paint(painter, right, self.height() // 2 - 8, 16, 16)
        painter.setFont(font)
        painter.setPen(theme.color(tone))
        room = QRectF(38, 0, right - 42, self.height())
        text = QFontMetrics(font).elidedText(
            visible(self.words), Qt.TextElideMode.ElideRight, int(room.width())
        )
        painter.drawText(
            room, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text
        )


@dataclass(frozen=True, slots=True)
class ClusterLine:
    """A cluster in the rail; ``key`` is the session's key in ``Clusters.sessions``."""

    key: int
    name: str
    tone: str
    environment: str = ""
    read_only: bool = False
    tip: str = ""


class Rail(QWidget):
    cluster_chosen = Signal(int)
    page_chosen = Signal(str)
    demo_requested = Signal()
    connect_requested = Signal()
    collapsed_changed = Signal(bool)

    def __init__(
        self, theme: Theme, pages: Sequence[PageSpec], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._narrow = False
        self.setProperty("role", "rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._clusters: dict[int, RailButton] = {}
        self._pages: dict[str, RailButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(2)
        layout.addLayout(self._head())
        layout.addSpacing(8)
        self._clusters_title = plain("CLUSTERS", self, role="section")
        self._clusters_title.setContentsMargins(8, 4, 0, 4)
        layout.addWidget(self._clusters_title)
        self._cluster_column = QVBoxLayout()
        self._cluster_column.setSpacing(2)
        layout.addLayout(self._cluster_column)
        self._demo = self._action("Start demo cluster", "demo", self.demo_requested)
        self._connect = self._action("Connect…", "connect", self.connect_requested)
        layout.addWidget(self._demo)
        layout.addWidget(self._connect)
        layout.addSpacing(12)
        self._pages_title = plain("PAGES", self, role="section")
        self._pages_title.setContentsMargins(8, 4, 0, 4)
        layout.addWidget(self._pages_title)
        for page in pages:
            button = RailButton(theme, page.title, icon=page.icon, parent=self)
            button.clicked.connect(lambda _=False, name=page.name: self.page_chosen.emit(name))
            button.setStatusTip(page.shortcut)
            self._pages[page.name] = button
            layout.addWidget(button)
        layout.addStretch(1)
        self.show_pages(False)
        self.set_narrow(False)

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setContentsMargins(4, 0, 0, 0)
        head.setSpacing(8)
        self._logo = IconLabel(self._theme, "app", 28, parent=self)
        self._wordmark = plain("Kafkarium", self, role="heading")
        self._fold = QToolButton(self)
        self._fold.setAccessibleName("Collapse or open the rail")
        self._fold.setToolTip("Collapse the rail (Ctrl+B)")
        self._fold.clicked.connect(lambda: self.collapse(not self._narrow))
        self._theme.changed.connect(self._recolour)
        self._recolour()
        head.addWidget(self._logo)
        head.addWidget(self._wordmark, 1)
        head.addWidget(self._fold)
        return head

    def _recolour(self) -> None:
        self._fold.setIcon(self._theme.icon("sidebar"))

    def _action(self, words: str, icon: str, signal: object) -> RailButton:
        button = RailButton(self._theme, words, icon=icon, parent=self)
        button.setCheckable(False)
        button.faint = True
        button.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
        return button

    # ---- showing

    def show_clusters(self, lines: Sequence[ClusterLine], current: int | None) -> None:
        wanted = {line.key for line in lines}
        for key in [k for k in self._clusters if k not in wanted]:
            self._clusters.pop(key).deleteLater()
        for line in lines:
            button = self._clusters.get(line.key)
            if button is None:
                button = RailButton(self._theme, line.name, dot=line.tone, parent=self)
                button.clicked.connect(lambda _=False, key=line.key: self.cluster_chosen.emit(key))
                button.set_narrow(self._narrow)
                self._clusters[line.key] = button
                self._cluster_column.addWidget(button)
            button.show_words(line.name)
            button.dot, button.environment, button.read_only = (
                line.tone,
                line.environment,
                line.read_only,
            )
            button.setToolTip(tooltip(f"{line.name}\n{line.tip}" if line.tip else line.name))
            button.setChecked(line.key == current)
            button.update()

    def show_pages(self, shown: bool) -> None:
        self._pages_title.setVisible(shown and not self._narrow)
        for button in self._pages.values():
            button.setVisible(shown)

    def show_page(self, name: str) -> None:
        for page, button in self._pages.items():
            button.setChecked(page == name)

    @property
    def narrow(self) -> bool:
        return self._narrow

    def collapse(self, narrow: bool) -> None:
        self.set_narrow(narrow)
        self.collapsed_changed.emit(narrow)

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self.setFixedWidth(NARROW if narrow else WIDE)
        self._wordmark.setVisible(not narrow)
        self._logo.setVisible(not narrow)
        self._clusters_title.setVisible(not narrow)
        self._pages_title.setVisible(
            not narrow and any(not b.isHidden() for b in self._pages.values())
        )
        for button in [*self._clusters.values(), *self._pages.values(), self._demo, self._connect]:
            button.set_narrow(narrow)
