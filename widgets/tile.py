"""A tile of a dashboard: a large figure with its title, a note, and a sparkline."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget
from typing_extensions import override

from resources.outgoing import visible
from widgets.charts.scale import Floats
from widgets.marks import draw_sparkline
from widgets.plain import tooltip
from widgets.theme import Theme

HEIGHT = 88
FIGURE_PIXELS = (22, 18, 15)


class Tile(QFrame):
    clicked = Signal()

    def __init__(self, theme: Theme, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._title = title
        self.figure = "–"
        self.aside = ""
        self.note = ""
        self.tone = ""
        self._values: Floats | None = None
        self.setProperty("role", "tile")
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(128)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.changed.connect(self.update)

    def show_figure(
        self, figure: str, note: str = "", tone: str = "", *, aside: str = "", tip: str = ""
    ) -> None:
        """``aside`` stands small after the figure ("/ 3").

        ``tone`` colours the note; "bad" colours the figure too.
        """
        new = (figure, note, tone, aside)
        if new != (self.figure, self.note, self.tone, self.aside):
            self.figure, self.note, self.tone, self.aside = new
            self.setAccessibleName(f"{self._title}: {figure}{aside} {note}")
            self.update()
        self.setToolTip(tooltip(tip))

    def show_values(self, values: Floats) -> None:
        """Show a sparkline at the right; float64[n], NaN is a gap."""
        self._values = values
        self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(160, HEIGHT)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        theme = self._theme
        painter = QPainter(self)
        left, right = 16, self.width() - 12
        painter.setFont(theme.ui_font(12))
        painter.setPen(theme.color("text_muted"))
        painter.drawText(
            QRectF(left, 10, right - left, 18), int(Qt.AlignmentFlag.AlignVCenter), self._title
        )
        figure = visible(self.figure, limit=24)
        big = self._figure_font(figure, right - left)
        painter.setFont(big)
        painter.setPen(theme.color("bad" if self.tone == "bad" else "text"))
        painter.drawText(
            QRectF(left, 28, right - left, 30), int(Qt.AlignmentFlag.AlignVCenter), figure
        )
        wide = QFontMetrics(big).horizontalAdvance(figure)
        if self.aside:
            painter.setFont(theme.ui_font(13))
            painter.setPen(theme.color("text_faint"))
            painter.drawText(
                QRectF(left + wide + 5, 33, 80, 24), int(Qt.AlignmentFlag.AlignVCenter), self.aside
            )
            wide += 5 + QFontMetrics(painter.font()).horizontalAdvance(self.aside)
        painter.setFont(theme.ui_font(11))
        painter.setPen(theme.color(self.tone or "text_faint"))
        note = QFontMetrics(painter.font()).elidedText(
            visible(self.note), Qt.TextElideMode.ElideRight, right - left
        )
        painter.drawText(
            QRectF(left, 60, right - left, 18), int(Qt.AlignmentFlag.AlignVCenter), note
        )
        room = right - (left + wide + 16)
        if self._values is not None and len(self._values) > 1 and room > 36:
            box = QRectF(right - min(room, 96), 34, min(room, 96), 22)
            draw_sparkline(painter, box, self._values, theme.color("accent"))
        painter.end()

    def _figure_font(self, figure: str, room: float) -> QFont:
        """The font of the first size in FIGURE_PIXELS with which the figure fits."""
        for pixels in FIGURE_PIXELS:
            font = self._theme.ui_font(pixels, QFont.Weight.DemiBold)
            if QFontMetrics(font).horizontalAdvance(figure) <= room:
                break
        return font

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.clicked.emit()
