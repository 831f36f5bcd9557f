"""Paints the cells of every table: text, figures, status marks, badges, bars and sparklines."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem
from typing_extensions import override

from widgets.column import Column
from widgets.marks import draw_sparkline
from widgets.status_mark import MARK_PIXELS, draw_status_mark
from widgets.table_model import ICON_ROLE, TONE_ROLE, VALUE_ROLE, Index
from widgets.theme import Theme

PADDING = 8
ICON = 16


class CellDelegate(QStyledItemDelegate):
    """One for all columns of a table: each column names how it is painted."""

    def __init__(
        self, theme: Theme, columns: tuple[Column[Any], ...], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._columns = columns
        self._font = theme.ui_font()
        self._small = theme.ui_font(11, self._font.Weight.Medium)
        self._mono = theme.mono_font()
        self._metrics = QFontMetrics(self._font)
        self._mono_metrics = QFontMetrics(self._mono)
        self._small_metrics = QFontMetrics(self._small)

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        column = self._columns[index.column()]
        if column.paint in ("spark", "bar"):
            return QSize(column.width or 96, 28)
        metrics = self._mono_metrics if column.mono else self._metrics
        wide = metrics.horizontalAdvance(str(index.data())) + 2 * PADDING
        if column.paint == "status":
            wide += MARK_PIXELS + 6
        if column.paint == "badge":
            wide += 8
        if column.icon:
            wide += ICON + 6
        return QSize(min(wide, 480), 28)

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme = self._theme
        column = self._columns[index.column()]
        rect: QRect = option.rect
        state = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(rect, theme.color("selection"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.color("hover"))
        tone = index.data(TONE_ROLE) or ""
        inner = rect.adjusted(PADDING, 0, -PADDING, 0)
        match column.paint:
            case "bar":
                self._bar(painter, inner, index.data(VALUE_ROLE), tone, column)
            case "spark":
                self._spark(painter, inner, index.data(VALUE_ROLE), tone)
            case "badge":
                self._badge(painter, inner, str(index.data() or ""), tone, selected)
            case _:
                if column.paint == "status":
                    self._dot(painter, inner, tone)
                    inner.setLeft(inner.left() + MARK_PIXELS + 8)
                    tone = ""
                elif icon := index.data(ICON_ROLE):
                    box = QRect(inner.left(), inner.center().y() - ICON // 2 + 1, ICON, ICON)
                    theme.icon(icon, tone or "text_faint").paint(painter, box)
                    inner.setLeft(inner.left() + ICON + 6)
                self._text(painter, inner, str(index.data() or ""), tone, column)

    def _text(
        self, painter: QPainter, rect: QRect, text: str, tone: str, column: Column[Any]
    ) -> None:
        font = self._mono if column.mono else self._font
        painter.setFont(font)
        painter.setPen(self._theme.color(tone or ("text_faint" if text == "–" else "text")))
        elide = Qt.TextElideMode.ElideLeft if column.numeric else Qt.TextElideMode.ElideRight
        metrics = self._mono_metrics if column.mono else self._metrics
        if metrics.horizontalAdvance(text) > rect.width():
            text = metrics.elidedText(text, elide, rect.width())
        side = Qt.AlignmentFlag.AlignRight if column.numeric else Qt.AlignmentFlag.AlignLeft
        painter.drawText(rect, int(side | Qt.AlignmentFlag.AlignVCenter), text)

    def _dot(self, painter: QPainter, rect: QRect, tone: str) -> None:
        draw_status_mark(
            painter,
            QPointF(rect.left() + MARK_PIXELS / 2, rect.center().y() + 0.5),
            self._theme,
            tone or "text_faint",
        )

    def _badge(self, painter: QPainter, rect: QRect, text: str, tone: str, selected: bool) -> None:
        if not text or text == "–":
            painter.setPen(self._theme.color("text_faint"))
            painter.drawText(rect, int(Qt.AlignmentFlag.AlignVCenter), text)
            return
        theme = self._theme
        metrics = self._small_metrics
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width() - 16)
        box = QRectF(
            rect.left(), rect.center().y() - 9 + 0.5, metrics.horizontalAdvance(text) + 16, 19
        )
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        soft = f"{tone}_soft" if tone in ("ok", "warn", "bad", "accent") else "hover"
        painter.setBrush(
            theme.color("surface" if selected and soft in ("accent_soft", "hover") else soft)
        )
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(self._small)
        painter.setPen(theme.color(tone or "text_muted"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.restore()

    def _bar(
        self, painter: QPainter, rect: QRect, value: object, tone: str, column: Column[Any]
    ) -> None:
        """A share 0..1 as a bar, with its text at the right."""
        if not isinstance(value, (int, float)):
            self._text(painter, rect, "–", "text_faint", column)
            return
        text = column.text(value)
        wide = self._metrics.horizontalAdvance("100 %") + 8
        track = QRectF(rect.left(), rect.center().y() - 2, max(16, rect.width() - wide), 5)
        painter.fillRect(track, self._theme.color("line"))
        filled = QRectF(track)
        filled.setWidth(track.width() * min(max(float(value), 0.0), 1.0))
        painter.fillRect(filled, self._theme.color(tone or "accent"))
        painter.setFont(self._font)
        painter.setPen(self._theme.color("text_muted"))
        painter.drawText(
            rect, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text
        )

    def _spark(self, painter: QPainter, rect: QRect, values: Any, tone: str) -> None:
        if values is None or not len(values):
            return
        draw_sparkline(
            painter, QRectF(rect.adjusted(0, 5, 0, -5)), values, self._theme.color(tone or "accent")
        )
