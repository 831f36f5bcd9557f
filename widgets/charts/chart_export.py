"""What a chart shows as text and as pictures: TSV for the clipboard, CSV, PNG and SVG for files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRect, QSize
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from resources.outgoing import CsvWriter, visible
from widgets.charts.model import Samples, Series
from widgets.time_style import TimeStyle

PNG_SCALE = 2.0
MARGIN = 16
"""pixels around an exported picture"""

Data = Sequence[tuple[Series, Samples]]


def table(data: Data, style: TimeStyle) -> Iterator[list[str]]:
    """A header and one row for each moment at which a series was sampled, oldest first; an empty
    cell where a series was not sampled then or has a gap. Values are exact."""
    yield ["time", *(series.label for series, _ in data)]
    moments = np.unique(np.concatenate([np.zeros(0), *(times for _, (times, _) in data)]))
    columns = []
    for _, (times, values) in data:
        column = np.full(len(moments), np.nan)
        column[np.searchsorted(moments, times)] = values
        columns.append(column)
    for place, at_s in enumerate(moments.tolist()):
        cells = [float(column[place]) for column in columns]
        if any(cell == cell for cell in cells):
            yield [style.exact(at_s), *("" if cell != cell else f"{cell:.12g}" for cell in cells)]


def as_tsv(data: Data, style: TimeStyle) -> str:
    return "\n".join("\t".join(visible(cell) for cell in row) for row in table(data, style))


def as_csv(data: Data, style: TimeStyle) -> str:
    """RFC 4180; names that a spreadsheet would run as a formula are made harmless."""
    out = io.StringIO()
    writer = CsvWriter(out)
    names, *rows = table(data, style)
    writer.row(names)
    for row in rows:
        writer.own_row(row)
    return out.getvalue()


def as_image(size: QSize, paint: Callable[[QPainter], None], background: QColor) -> QImage:
    """Return what ``paint`` paints on an area of that size, with a margin, in twice the pixels."""
    image = QImage(_with_margin(size) * PNG_SCALE, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(PNG_SCALE)
    image.fill(background)
    painter = QPainter(image)
    painter.translate(MARGIN, MARGIN)
    paint(painter)
    painter.end()
    return image


def write_svg(
    path: Path, size: QSize, paint: Callable[[QPainter], None], background: QColor, title: str
) -> None:
    """Write what ``paint`` paints, as shapes with a margin. Raises: OSError when the file cannot be
    written."""
    page = _with_margin(size)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(page)
    generator.setViewBox(QRect(QPoint(), page))
    generator.setTitle(visible(title))
    painter = QPainter(generator)
    painter.fillRect(QRect(QPoint(), page), background)
    painter.translate(MARGIN, MARGIN)
    paint(painter)
    painter.end()
    path.write_bytes(buffer.data().data())


def _with_margin(size: QSize) -> QSize:
    return size + QSize(2 * MARGIN, 2 * MARGIN)
