"""The sparkline that tables and tiles share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPen

if TYPE_CHECKING:
    from widgets.charts.scale import Floats


def draw_sparkline(painter: QPainter, rect: QRectF, values: Floats, color: QColor) -> None:
    """``values`` float64[n] left to right, NaN a gap; scaled from zero to its own top."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    steps = int(max(rect.width(), 2))
    if len(values) > steps:
        edges = np.linspace(0, len(values), steps + 1).astype(int)[:-1]
        with np.errstate(invalid="ignore"):
            values = np.fmax.reduceat(values, edges)
    top = max(float(finite.max()), 1e-9)
    xs = (
        np.linspace(rect.left(), rect.right(), len(values))
        if len(values) > 1
        else np.array([rect.right()])
    )
    ys = rect.bottom() - values / top * rect.height()
    painter.setPen(QPen(color, 1))
    run: list[QPointF] = []
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        if y == y:
            run.append(QPointF(x, y))
        elif run:
            painter.drawPolyline(run)
            run = []
    if run:
        painter.drawPolyline(run)
