"""The header above the page: the cluster's name and health, the time window of the charts, pause,
theme, and the command palette."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)
from typing_extensions import override

from gui.health_item import HealthItem
from gui.rail import environment_color
from widgets.plain import ElidedLabel, tooltip
from widgets.status_mark import draw_status_mark
from widgets.theme import Theme
from widgets.time_style import LOCAL, RELATIVE, UTC

WINDOWS: tuple[tuple[str, float], ...] = (
    ("1 min", 60),
    ("5 min", 300),
    ("15 min", 900),
    ("1 h", 3600),
    ("6 h", 21_600),
    ("24 h", 86_400),
)

TIME_STYLES = ((LOCAL, "Local"), (UTC, "UTC"), (RELATIVE, "Relative"))


class Chip(QWidget):
    """A health dot and a few words; a click opens the page with the details."""

    clicked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.item = HealthItem("", "text_faint")
        self._font = theme.ui_font(12)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_item(self, item: HealthItem) -> None:
        if item != self.item:
            self.item = item
            self.setToolTip(tooltip(item.tip))
            self.setAccessibleName(item.text)
            self.setCursor(
                Qt.CursorShape.PointingHandCursor if item.page else Qt.CursorShape.ArrowCursor
            )
            self.updateGeometry()
            self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(QFontMetrics(self._font).horizontalAdvance(self.item.text) + 30, 24)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        theme, tone = self._theme, self.item.tone
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if tone in ("warn", "bad"):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color(f"{tone}_soft"))
            painter.drawRoundedRect(QRectF(self.rect()), 12, 12)
        draw_status_mark(painter, QPointF(12, self.height() / 2), theme, tone)
        painter.setFont(self._font)
        painter.setPen(theme.color(tone if tone in ("warn", "bad") else "text_muted"))
        painter.drawText(
            QRectF(22, 0, self.width() - 22, self.height()),
            int(Qt.AlignmentFlag.AlignVCenter),
            self.item.text,
        )
        painter.end()

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.item.page and self.rect().contains(event.position().toPoint()):
            self.clicked.emit(self.item.page)


class _EnvironmentMark(QWidget):
    """A bar in the connection's colour, before its name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.environment = ""
        self.setFixedSize(4, 24)

    def show_environment(self, name: str) -> None:
        self.environment = name
        self.setVisible(bool(name))
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        color = environment_color(self.environment)
        if color is not None:
            painter = QPainter(self)
            painter.fillRect(self.rect(), color)
            painter.end()


class Header(QWidget):
    window_chosen = Signal(float)
    time_style_chosen = Signal(str)
    pause_requested = Signal(bool)
    theme_requested = Signal()
    palette_requested = Signal()
    preferences_requested = Signal()
    about_requested = Signal()
    page_requested = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("role", "header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(52)
        self._mark = _EnvironmentMark(self)
        self._name = ElidedLabel("", self, role="heading")
        self._name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._chips: list[Chip] = []
        self._chip_row = QHBoxLayout()
        self._chip_row.setSpacing(2)
        self.tools = QHBoxLayout()
        self.tools.setSpacing(8)
        """widgets of this cluster alone, such as the controls of the demo's traffic"""
        self._windows = QComboBox(self)
        self._windows.setAccessibleName("Time window of the charts")
        self._windows.setToolTip("Time window of the charts")
        for title, seconds in WINDOWS:
            self._windows.addItem(title, seconds)
        self._windows.activated.connect(
            lambda i: self.window_chosen.emit(float(self._windows.itemData(i)))
        )
        self._times = QComboBox(self)
        self._times.setAccessibleName("How times are written")
        self._times.setToolTip("Write times as local time, as UTC, or relative to now")
        for style, title in TIME_STYLES:
            self._times.addItem(title, style)
        self._times.activated.connect(
            lambda i: self.time_style_chosen.emit(str(self._times.itemData(i)))
        )
        self._pause = QToolButton(self)
        self._pause.setCheckable(True)
        self._pause.clicked.connect(self.pause_requested)
        self._scheme = QToolButton(self)
        self._scheme.setToolTip("Dark or light")
        self._scheme.setAccessibleName("Dark or light")
        self._scheme.clicked.connect(self.theme_requested)
        self._search = QPushButton("Search or run   Ctrl K", self)
        self._search.setProperty("role", "keys")
        self._search.setAccessibleName("Open the command palette")
        self._search.clicked.connect(self.palette_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 0, 16, 0)
        layout.setSpacing(8)
        layout.addWidget(self._mark)
        layout.addWidget(self._name)
        layout.addSpacing(8)
        layout.addLayout(self._chip_row)
        layout.addStretch(1)
        layout.addLayout(self.tools)
        self.menu_button = self._menu_of_the_application()
        for widget in (
            self._windows,
            self._times,
            self._pause,
            self._search,
            self._scheme,
            self.menu_button,
        ):
            layout.addWidget(widget)
        theme.changed.connect(self._recolour)
        self._recolour()
        self.show_paused(False)

    def _menu_of_the_application(self) -> QToolButton:
        button = QToolButton(self)
        button.setToolTip("Preferences and About")
        button.setAccessibleName("Preferences and About")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        preferences = menu.addAction("Preferences…", self.preferences_requested.emit)
        preferences.setShortcut("Ctrl+,")
        about = menu.addAction("About Kafkarium", self.about_requested.emit)
        about.setShortcut("F1")
        for action in (preferences, about):  # the window has the shortcuts; here they are shown
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.setShortcutVisibleInContextMenu(True)
        button.setMenu(menu)
        return button

    def _recolour(self) -> None:
        self.menu_button.setIcon(self._theme.icon("more"))
        self._scheme.setIcon(self._theme.icon("sun" if self._theme.dark else "moon"))
        self._search.setIcon(self._theme.icon("search"))
        self.show_paused(self._pause.isChecked())

    def show_cluster(self, name: str, environment: str = "", read_only: bool = False) -> None:
        self._name.show_text(f"{name}  (read-only)" if read_only else name)
        self._mark.show_environment(environment)
        for widget in (self._windows, self._times, self._pause):
            widget.setVisible(bool(name))

    def show_health(self, items: Sequence[HealthItem]) -> None:
        while len(self._chips) < len(items):
            chip = Chip(self._theme, self)
            chip.clicked.connect(self.page_requested)
            self._chips.append(chip)
            self._chip_row.addWidget(chip)
        for place, chip in enumerate(self._chips):
            chip.setVisible(place < len(items))
            if place < len(items):
                chip.show_item(items[place])

    def show_window(self, seconds: float) -> None:
        place = self._windows.findData(seconds)
        if place >= 0:
            self._windows.setCurrentIndex(place)

    def show_time_style(self, style: str) -> None:
        self._times.setCurrentIndex(max(0, self._times.findData(style)))

    def show_paused(self, paused: bool) -> None:
        self._pause.setChecked(paused)
        self._pause.setIcon(
            self._theme.icon("play" if paused else "pause", "warn" if paused else "text_muted")
        )
        words = "Sample again (Ctrl+P)" if paused else "Pause sampling (Ctrl+P)"
        self._pause.setToolTip(words)
        self._pause.setAccessibleName(words)
