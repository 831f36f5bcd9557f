"""A chart as pages place it: title, the chart, its legend, a line that says when it is not live,
and the context menu."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QPoint, QPointF, Signal
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from widgets.chart_clock import ChartClock
from widgets.charts import chart_export
from widgets.charts.chart_group import ZOOM_IN, ZOOM_OUT, ChartGroup
from widgets.charts.legend import Legend
from widgets.charts.model import Mark, Read, Samples, Series
from widgets.charts.time_chart import TimeChart
from widgets.charts.units import COUNT, Unit
from widgets.clipboard import copy_lines
from widgets.plain import ElidedLabel, plain
from widgets.theme import Theme

logger = logging.getLogger(__name__)

HEADER = 24
LEGEND_ROWS = ((260, 3), (170, 2), (0, 1))
"""(height of the panel in pixels, rows of the legend)"""


class ChartPanel(QWidget):
    """Give all panels of a page one ``group``: they share the time axis and the crosshair."""

    failed = Signal(str)
    """An export could not be written; a sentence for people."""

    def __init__(
        self,
        theme: Theme,
        clock: ChartClock,
        read: Read,
        *,
        title: str,
        unit: Unit = COUNT,
        stacked: bool = False,
        group: ChartGroup | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock, self._read = theme, clock, read
        self.chart = TimeChart(
            theme, clock, read, unit=unit, stacked=stacked, group=group, parent=self
        )
        self.group = self.chart.group
        self.legend = Legend(theme, self)
        self._title = ElidedLabel(title, self, role="strong")
        self._span = plain("", self, role="small")
        self._live = QPushButton("Live", self)
        self._live.setProperty("role", "link")
        self._live.setToolTip("Show the newest samples again (End, or double-click the chart)")
        self.chart.setAccessibleName(title)
        self._build()
        self._connect()
        self._show_live()

    def _build(self) -> None:
        header = QWidget(self)
        header.setFixedHeight(HEADER)
        row = QHBoxLayout(header)
        row.setSpacing(8)
        row.addWidget(self._title, 1)
        row.addWidget(self._span)
        row.addWidget(self._live)
        row.setContentsMargins(0, 0, 4, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(header)
        column.addWidget(self.chart, 1)
        column.addWidget(self.legend)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def _connect(self) -> None:
        self._live.clicked.connect(self.group.follow)
        self.group.span_changed.connect(self._show_live)
        self._clock.style.changed.connect(self._show_live)
        self.chart.drawn.connect(self._show_legend)
        self.chart.menu_requested.connect(self._open_menu)
        self.chart.copy_requested.connect(self.copy_values)
        self.legend.hidden_changed.connect(self.chart.set_hidden)

    # ---- what is shown

    @property
    def series(self) -> tuple[Series, ...]:
        return self.chart.series

    @property
    def title(self) -> str:
        return self._title.text()

    @property
    def live_words(self) -> str:
        """The line that says that the chart is not live; empty while it is."""
        return "" if self._span.isHidden() else self._span.text()

    def set_series(self, series: Sequence[Series]) -> None:
        """In the order of the legend, and of the areas from below. A page that has more than fit
        chooses the greatest and adds the sum of the others (``SumOf``)."""
        self.chart.set_series(series)

    def set_title(self, title: str) -> None:
        self._title.show_text(title)
        self.chart.setAccessibleName(title)

    def set_marks(self, marks: Sequence[Mark]) -> None:
        self.chart.set_marks(marks)

    def set_window(self, seconds: float) -> None:
        self.group.set_window(seconds)

    def set_stacked(self, stacked: bool) -> None:
        self.chart.set_stacked(stacked)

    def set_unit(self, unit: Unit) -> None:
        self.chart.set_unit(unit)

    def set_nothing(self, sentence: str) -> None:
        self.chart.set_nothing(sentence)

    def data_changed(self) -> None:
        self.chart.data_changed()

    # ---- parts

    def _show_legend(self) -> None:
        if self._clock.style.relative:
            self._show_live()
        frame = self.chart.frame_
        self.legend.show_series(self.chart.series, frame.statistics, self.chart.unit)

    def _show_live(self) -> None:
        live = self.group.live
        self._span.setVisible(not live)
        self._live.setVisible(not live)
        if not live:
            now_s = self._clock.now_s
            span = self._clock.style.span(*self.group.range_at(now_s), now_s)
            self._span.setText(f"Not live: {span}")

    # ---- the menu

    def _open_menu(self, place: QPoint) -> None:
        menu = self.make_menu()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def make_menu(self) -> QMenu:
        chart, group = self.chart, self.group
        menu = QMenu(self)
        menu.addAction("Live\tEnd", group.follow).setEnabled(not group.live)
        menu.addAction("Beginning\tHome", chart.go_to_beginning)
        menu.addAction("Zoom in\t+", lambda: group.zoom(ZOOM_IN))
        menu.addAction("Zoom out\t-", lambda: group.zoom(ZOOM_OUT))
        menu.addSeparator()
        log = menu.addAction("Logarithmic axis")
        log.setCheckable(True)
        log.setChecked(chart.log)
        log.toggled.connect(chart.set_log)
        menu.addAction("Show all series", self.legend.show_all).setEnabled(bool(self.legend.hidden))
        menu.addSeparator()
        menu.addAction("Copy values\tCtrl+C", self.copy_values)
        menu.addAction("Export as CSV…", lambda: self._choose_file("csv"))
        menu.addAction("Export as PNG…", lambda: self._choose_file("png"))
        menu.addAction("Export as SVG…", lambda: self._choose_file("svg"))
        return menu

    def visible_data(self) -> list[tuple[Series, Samples]]:
        """The shown series with their samples in the shown range."""
        t0, t1 = self.group.range_at(self._clock.now_s)
        return [(s, self.chart.samples(s, t0, t1)) for s in self.chart.shown_series]

    def copy_values(self) -> None:
        """Put what is shown on the clipboard as tab-separated text."""
        text = chart_export.as_tsv(self.visible_data(), self._clock.style)
        copy_lines(text)

    def _choose_file(self, form: str) -> None:
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.title) or "chart"
        dialog = QFileDialog(self, f"Export as {form.upper()}", f"{name}.{form}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(form)
        dialog.fileSelected.connect(lambda path: self.export(Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, path: Path) -> bool:
        """Write what is shown in the form that the name ends with. A failure is emitted as
        ``failed`` and False is returned."""
        background = self._theme.color("surface")
        try:
            match path.suffix.lower():
                case ".csv":
                    text = chart_export.as_csv(self.visible_data(), self._clock.style)
                    path.write_text(text, encoding="utf-8", newline="")
                case ".svg":
                    chart_export.write_svg(path, self.size(), self.paint_on, background, self.title)
                case _:
                    image = chart_export.as_image(self.size(), self.paint_on, background)
                    if not image.save(str(path), "PNG"):  # type: ignore[call-overload]
                        raise OSError("the image could not be written")
        except OSError as error:
            logger.warning("cannot write %s: %s", path, error)
            self.failed.emit(f"{path.name} was not written: {error.strerror or error}.")
            return False
        return True

    def paint_on(self, painter: QPainter) -> None:
        """Paint title, chart and legend as shapes, for a file."""
        painter.setFont(self._title.font())
        painter.setPen(self._theme.color("text"))
        painter.drawText(QPointF(0, 16), self.title)
        self.chart.paint_on(painter)
        painter.translate(QPointF(self.legend.pos()))
        self.legend.paint_on(painter)

    # ---- Qt

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        height = event.size().height()
        self.legend.set_rows(next(rows for least, rows in LEGEND_ROWS if height >= least))
