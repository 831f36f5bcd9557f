"""The legend under a chart: a swatch, the name and the newest value of each series, with minimum,
mean and maximum where there is room. A click hides a series, a double click shows it alone; with
the focus, the arrow keys choose a series, Space hides it and Enter shows it alone. Text
from a cluster is painted as plain text."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget
from typing_extensions import override

from resources.outgoing import visible
from widgets.charts.axes import FONT_PIXELS
from widgets.charts.curves_item import color_of
from widgets.charts.frames import NO_STATISTICS
from widgets.charts.model import Series, Statistics
from widgets.charts.units import COUNT, Unit
from widgets.plain import tooltip
from widgets.theme import Theme

ROW = 18
GAP = 18.0
SWATCH = 10.0
LABEL_WIDE = 180.0
_VALUE_GAP = 6.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One series as it is laid out: ``rect`` in pixels, ``series`` None for "+3 more"."""

    series: Series | None
    rect: QRectF
    label: str
    value: str
    details: str = ""


class Legend(QWidget):
    hidden_changed = Signal(frozenset)  # series keys

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._font = theme.ui_font(FONT_PIXELS)
        self._metrics = QFontMetricsF(self._font)
        self._series: tuple[Series, ...] = ()
        self._statistics: Mapping[Hashable, Statistics] = {}
        self._unit = COUNT
        self._hidden: frozenset[Hashable] = frozenset()
        self._before_click: frozenset[Hashable] = frozenset()
        self._isolated = False
        self._rows_most = 2
        self.entries: tuple[Entry, ...] = ()
        self._current: Hashable = None
        """key of the series that the keys act on, shown while the legend has the focus"""
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName("Legend")
        self.setAccessibleDescription(
            "Arrow keys choose a series, Space hides it, Enter shows it alone"
        )
        theme.changed.connect(self.update)

    @property
    def hidden(self) -> frozenset[Hashable]:
        return self._hidden

    def set_rows(self, most: int) -> None:
        if most != self._rows_most:
            self._rows_most = most
            self._lay_out()

    def show_series(
        self,
        series: Sequence[Series],
        statistics: Mapping[Hashable, Statistics],
        unit: Unit,
    ) -> None:
        """A hidden series keeps the figures that it had, and with them its room: a legend that
        moved under the pointer would take the second click of a double click away."""
        kept = {key: self._statistics[key] for key in self._hidden if key in self._statistics}
        self._series, self._statistics, self._unit = tuple(series), {**statistics, **kept}, unit
        self._lay_out()

    # ---- layout

    def _lay_out(self) -> None:
        rows = self._rows() if self.width() > 60 else 0
        for detailed in (True, False):
            entries, needed = self._placed(detailed)
            if needed <= self._rows_most:
                break
        self.entries = tuple(entries)
        needed = max(1, min(needed, self._rows_most)) if self._series else 0
        if needed != rows:
            self.setFixedHeight(needed * ROW)
            self.updateGeometry()
        self.update()

    def _rows(self) -> int:
        return self.height() // ROW

    def _placed(self, detailed: bool) -> tuple[list[Entry], int]:
        """Entries in rows from left to right, and how many rows they would need; those beyond the
        last row are counted in a final entry."""
        advance = self._metrics.horizontalAdvance
        room, x, row = float(self.width()), 0.0, 0
        entries: list[Entry] = []
        more_wide = advance("+999 more") + GAP
        for place, series in enumerate(self._series):
            label, value, details = self._texts(series, detailed)
            wide = SWATCH + _VALUE_GAP + advance(label) + _VALUE_GAP + advance(value)
            if details:
                wide += 2 * _VALUE_GAP + advance(details)
            if detailed and wide > room:
                return [], self._rows_most + 1
            last_row = row == self._rows_most - 1
            left = len(self._series) - place - 1
            if x and x + wide > room - (more_wide if last_row and left else 0.0):
                if last_row:
                    text = f"+{left + 1} more"
                    rect = QRectF(x, row * ROW, advance(text), ROW)
                    return [*entries, Entry(None, rect, text, "")], row + 2
                row, x = row + 1, 0.0
            rect = QRectF(x, row * ROW, wide, ROW)
            entries.append(Entry(series, rect, label, value, details))
            x += wide + GAP
        return entries, row + 1

    def _texts(self, series: Series, detailed: bool) -> tuple[str, str, str]:
        known = self._statistics.get(series.key, NO_STATISTICS)
        text = self._unit.text
        label = self._metrics.elidedText(
            visible(series.label), Qt.TextElideMode.ElideMiddle, min(LABEL_WIDE, self.width() * 0.6)
        )
        details = ""
        if detailed and known.mean == known.mean:
            details = f"min {text(known.low)}  mean {text(known.mean)}  max {text(known.high)}"
        return label, text(known.last), details

    def entry_at(self, place: QPointF) -> Entry | None:
        return next((entry for entry in self.entries if entry.rect.contains(place)), None)

    # ---- interaction

    def hide_series(self, key: Hashable, hidden: bool) -> None:
        self._set_hidden(self._hidden | {key} if hidden else self._hidden - {key})

    def isolate(self, key: Hashable) -> None:
        """Hide all others, or show all again when they are hidden already."""
        others = frozenset(s.key for s in self._series) - {key}
        self._set_hidden(frozenset() if self._before_click == others else others)

    @property
    def current(self) -> Series | None:
        """The series that the keys act on: the one chosen last, else the first; None without
        series."""
        shown = self._listed()
        return next((s for s in shown if s.key == self._current), next(iter(shown), None))

    def _listed(self) -> list[Series]:
        return [entry.series for entry in self.entries if entry.series is not None]

    def _step(self, by: int) -> None:
        shown, current = self._listed(), self.current
        if current is not None:
            index = min(max(shown.index(current) + by, 0), len(shown) - 1)
            self._current = shown[index].key
            self.setAccessibleDescription(shown[index].label)
            self.update()

    def show_all(self) -> None:
        self._set_hidden(frozenset())

    def _set_hidden(self, hidden: frozenset[Hashable]) -> None:
        if hidden != self._hidden:
            self._hidden = hidden
            self._lay_out()
            self.hidden_changed.emit(hidden)

    # ---- Qt

    @override
    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        if event.size().width() != event.oldSize().width():
            self._lay_out()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.paint_on(painter)
        current = self.current
        if self.hasFocus() and current is not None:
            painter.setPen(QPen(self._theme.color("accent"), 1))
            rect = next(e.rect for e in self.entries if e.series is current)
            painter.drawRoundedRect(rect.adjusted(0.5, 0.5, 1.5, -1.5), 3, 3)
        painter.end()

    def paint_on(self, painter: QPainter) -> None:
        """Paint the entries at the painter's origin."""
        painter.setFont(self._font)
        for entry in self.entries:
            self._paint(painter, entry)

    def _paint(self, painter: QPainter, entry: Entry) -> None:
        theme, advance = self._theme, self._metrics.horizontalAdvance
        x, base = entry.rect.left(), entry.rect.top() + 13
        if entry.series is None:
            painter.setPen(theme.color("text_faint"))
            painter.drawText(QPointF(x, base), entry.label)
            return
        hidden = entry.series.key in self._hidden
        self._paint_swatch(painter, entry.series, x, base, hidden)
        x += SWATCH + _VALUE_GAP
        painter.setPen(theme.color("text_faint" if hidden else "text_muted"))
        painter.drawText(QPointF(x, base), entry.label)
        if hidden:
            y = base - 4
            painter.drawLine(QPointF(x, y), QPointF(x + advance(entry.label), y))
            return
        x += advance(entry.label) + _VALUE_GAP
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(x, base), entry.value)
        if entry.details:
            painter.setPen(theme.color("text_faint"))
            x += advance(entry.value) + 2 * _VALUE_GAP
            painter.drawText(QPointF(x, base), entry.details)

    def _paint_swatch(
        self, painter: QPainter, series: Series, x: float, base: float, hidden: bool
    ) -> None:
        color: QColor = (
            self._theme.color("line_strong") if hidden else color_of(self._theme, series)
        )
        if series.dashed:
            painter.setPen(QPen(color, 2, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, base - 4), QPointF(x + SWATCH, base - 4))
        else:
            painter.fillRect(QRectF(x, base - 8, SWATCH, 8), color)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        current = self.current
        match event.key():
            case Qt.Key.Key_Left | Qt.Key.Key_Up:
                self._step(-1)
            case Qt.Key.Key_Right | Qt.Key.Key_Down:
                self._step(1)
            case Qt.Key.Key_Space if current is not None:
                self.hide_series(current.key, current.key not in self._hidden)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if current is not None:
                self._before_click = self._hidden
                self.isolate(current.key)
            case _:
                super().keyPressEvent(event)

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._isolated:  # the second release of a double click
            self._isolated = False
            return
        entry = self.entry_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and entry and entry.series:
            self._before_click = self._hidden
            self.hide_series(entry.series.key, entry.series.key not in self._hidden)

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Comes after the release of the first click, in place of the second press."""
        entry = self.entry_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and entry and entry.series:
            self._isolated = True
            self.isolate(entry.series.key)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        entry = self.entry_at(event.position())
        hand = entry is not None and entry.series is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)

    @override
    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), tooltip(self.tip_at(QPointF(event.pos()))), self)
            return True
        return super().event(event)

    def tip_at(self, place: QPointF) -> str:
        """The whole name and the figures of the visible range; of "+3 more" the names."""
        entry = self.entry_at(place)
        if entry is None:
            return ""
        if entry.series is None:
            shown = {e.series.key for e in self.entries if e.series is not None}
            return "\n".join(s.label for s in self._series if s.key not in shown)
        known = self._statistics.get(entry.series.key, NO_STATISTICS)
        text = self._unit.text
        return (
            f"{entry.series.label}\nlast {text(known.last)}\nmin {text(known.low)}\n"
            f"mean {text(known.mean)}\nmax {text(known.high)}"
        )
