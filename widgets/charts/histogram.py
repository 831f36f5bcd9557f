"""How much there is over time, as bars, with a brush: drag over it to choose a time range, click
to let it go."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from widgets import figures
from widgets.theme import Theme

Times = NDArray[np.int64]

BAR, GAP = 5, 1
LEFT, RIGHT, TOP, BOTTOM = 0, 0, 16, 18
STEPS_MS = (
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000, 604_800_000, 2_592_000_000,
    31_536_000_000, 315_360_000_000,
)  # fmt: skip
LATEST_MS = 253_370_764_800_000
"""the year 9999: later than that is no time but a mistake, and not drawn"""


def bins(times: Times, most: int) -> tuple[int, int, NDArray[np.int64]]:
    """Round bins: (start of the first in ms, width in ms, counts). At most ``most`` of them."""
    if not len(times):
        return 0, 1, np.zeros(0, np.int64)
    low, high = int(times.min()), int(times.max())
    step = next((s for s in STEPS_MS if (high // s) - (low // s) + 1 <= most), 0)
    if not step:
        step = math.ceil((high - low + 1) / max(1, most - 1))
    start = low // step * step
    counts = np.bincount(((times - start) // step).astype(np.int64), minlength=1)
    return start, step, counts


def moment(ms: int, step_ms: int = 1000) -> str:
    """Local time, as exact as a step of that size needs."""
    try:
        at = datetime.fromtimestamp(ms / 1000)
    except (OverflowError, OSError, ValueError):
        return str(ms)
    if step_ms >= 86_400_000:
        return at.strftime("%Y-%m-%d")
    if step_ms >= 60_000:
        return (
            at.strftime("%d %b %H:%M")
            if at.date() != datetime.now().date()
            else at.strftime("%H:%M")
        )
    text = at.strftime("%H:%M:%S")
    return text if step_ms >= 1000 else f"{text}.{ms % 1000:03d}"


class Histogram(QWidget):
    range_changed = Signal(object)  # (from ms inclusive, until ms exclusive) or None

    def __init__(self, theme: Theme, noun: str = "record", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._noun = noun
        self._times: Times = np.zeros(0, np.int64)
        self._start, self._step = 0, 1
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._dirty = True
        self._range: tuple[int, int] | None = None
        self._drag_from: float | None = None
        self._drag_to = 0.0
        self._mouse: QPointF | None = None
        self._font = theme.ui_font(11)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(84)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("Records over time")
        theme.changed.connect(self.update)

    @override
    def sizeHint(self) -> QSize:
        return QSize(600, 84)

    def set_times(self, times_ms: Times) -> None:
        """int64[n], any order; negative ones and ones beyond the year 9999 are left out."""
        self._times = times_ms[(times_ms >= 0) & (times_ms < LATEST_MS)]
        self._dirty = True
        self.update()

    @property
    def chosen(self) -> tuple[int, int] | None:
        return self._range

    def choose(self, chosen: tuple[int, int] | None) -> None:
        if chosen != self._range:
            self._range = chosen
            self.range_changed.emit(chosen)
        self.update()

    # ---- places

    def _fit(self) -> None:
        if self._dirty:
            self._dirty = False
            self._start, self._step, self._counts = bins(
                self._times, max(8, (self.width() - 8) // (BAR + GAP))
            )

    def _bar_width(self) -> float:
        return max(1.0, (self.width() - LEFT - RIGHT) / max(len(self._counts), 24))

    def _time_at(self, x: float) -> int:
        return int(self._start + (x - LEFT) / self._bar_width() * self._step)

    def _x_of(self, ms: int) -> float:
        return LEFT + (ms - self._start) / self._step * self._bar_width()

    # ---- Qt

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        self._fit()
        painter = QPainter(self)
        theme = self._theme
        painter.setFont(self._font)
        floor = self.height() - BOTTOM
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(QPointF(0, floor + 0.5), QPointF(self.width(), floor + 0.5))
        if len(self._counts):
            self._paint_bars(painter, floor)
            self._paint_axis(painter, floor)
            self._paint_hover(painter, floor)
        else:
            painter.setPen(theme.color("text_faint"))
            painter.drawText(
                QRectF(0, 0, self.width(), floor),
                int(Qt.AlignmentFlag.AlignCenter),
                f"{self._noun.capitalize()}s over time appear here",
            )
        if self.hasFocus():
            painter.setPen(QPen(theme.color("accent"), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_bars(self, painter: QPainter, floor: int) -> None:
        wide = self._bar_width()
        top = max(1, int(self._counts.max()))
        chosen = self._span_now()
        bright, dim = self._theme.color("accent"), self._theme.color("line_strong")
        if chosen is not None:
            left, right = self._x_of(chosen[0]), self._x_of(chosen[1])
            painter.fillRect(
                QRectF(left, TOP - 4, right - left, floor - TOP + 4),
                self._theme.color("accent_soft"),
            )
        for place in np.flatnonzero(self._counts).tolist():
            tall = max(2.0, float(self._counts[place]) / top * (floor - TOP))
            at = self._start + place * self._step
            inside = chosen is None or (at + self._step > chosen[0] and at < chosen[1])
            painter.fillRect(
                QRectF(LEFT + place * wide, floor - tall, max(1.0, wide - GAP), tall),
                bright if inside else dim,
            )

    def _paint_axis(self, painter: QPainter, floor: int) -> None:
        painter.setPen(self._theme.color("text_faint"))
        metrics = QFontMetrics(self._font)
        end = self._start + len(self._counts) * self._step
        first, last = moment(self._start, self._step), moment(end, self._step)
        base = self.height() - 4
        painter.drawText(QPointF(0, base), first)
        right = self._x_of(end)
        if right > metrics.horizontalAdvance(first + last) + 24:
            painter.drawText(
                QPointF(min(right, self.width()) - metrics.horizontalAdvance(last), base), last
            )
        top = f"{figures.short(int(self._counts.max()))} per {figures.duration(self._step / 1000).replace('.0 ', ' ')}"
        painter.drawText(QPointF(0, metrics.ascent()), top)

    def _paint_hover(self, painter: QPainter, floor: int) -> None:
        chosen = self._span_now()
        if self._drag_from is None and self._mouse is not None:
            place = int((self._mouse.x() - LEFT) / self._bar_width())
            if 0 <= place < len(self._counts):
                at = self._start + place * self._step
                self._say(
                    painter,
                    f"{moment(at, self._step)}  ·  {figures.plural(int(self._counts[place]), self._noun)}",
                )
                return
        if chosen is not None:
            inside = int(np.count_nonzero((self._times >= chosen[0]) & (self._times < chosen[1])))
            step = min(self._step, 1000)
            words = f"{moment(chosen[0], step)} – {moment(chosen[1], step)}  ·  {figures.plural(inside, self._noun)}"
            self._say(painter, words)

    def _say(self, painter: QPainter, words: str) -> None:
        metrics = QFontMetrics(self._font)
        painter.setPen(self._theme.color("text_muted"))
        painter.drawText(
            QPointF(self.width() - metrics.horizontalAdvance(words), metrics.ascent()), words
        )

    def _span_now(self) -> tuple[int, int] | None:
        if self._drag_from is None:
            return self._range
        low, high = sorted((self._drag_from, self._drag_to))
        return self._time_at(low), max(self._time_at(high), self._time_at(low) + 1)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and len(self._counts):
            self._drag_from = self._drag_to = event.position().x()
            self.update()

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if self._drag_from is not None:
            self._drag_to = min(max(event.position().x(), 0.0), float(self.width()))
        self.update()

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._drag_from is None:
            return
        far = abs(self._drag_to - self._drag_from) >= 4
        span = self._span_now() if far else None
        self._drag_from = None
        self.choose(span)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._range is not None:
            self.choose(None)
        else:
            super().keyPressEvent(event)

    @override
    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._mouse = None
            self.update()
        elif event.type() == QEvent.Type.Resize:
            self._dirty = True
        return super().event(event)
