"""The parts of the Messages page and where they stand."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QProgressBar, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from gui.messages.detail import RecordDetail
from gui.messages.produce import ProducePanel
from gui.messages.record_model import RecordModel
from gui.messages.record_table import RecordTable
from gui.messages.scan_bar import ScanBar
from gui.messages.table_bar import TableBar
from gui.pages import PageContext
from kafka_client.model import Record
from widgets.charts.histogram import Histogram
from widgets.page_state import Banner, PageState
from widgets.plain import ElidedLabel

SIDE_NARROWEST = 360
SIZES = (750, 440)
"""first widths of the table and of the side pane"""


class MessagesLayout(QWidget):
    """The scan bar above; below it progress, histogram, and the table beside a side pane that
    shows a record or the produce form."""

    def __init__(
        self,
        context: PageContext,
        model: RecordModel,
        menu: Callable[[list[Record], QMenu], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.bar = ScanBar(context.theme, self)
        self.banner = Banner(context.theme, self)
        self.progress = QProgressBar(self)
        self.progress_text = ElidedLabel("", self, role="small")
        self.histogram = Histogram(context.theme, context.clock, "record", self)
        self.table = RecordTable(context.theme, model, memory=context.preferences, menu=menu)
        self.table.failed.connect(lambda sentence: context.notify(sentence, "bad"))
        self.table_bar = TableBar(context, self.table)
        self.side = QStackedWidget(self)
        self.detail = RecordDetail(context, self)
        self.produce = ProducePanel(context, self)
        self.side.addWidget(self.detail)
        self.side.addWidget(self.produce)
        self.state = PageState(context.theme, self._make_content(), self)
        layout = _column(self, 12)
        layout.addWidget(self.bar)
        layout.addWidget(self.state, 1)

    def _make_content(self) -> QWidget:
        content = QWidget(self)
        column = _column(content, 12)
        column.addWidget(self.banner)
        column.addWidget(self._make_progress())
        column.addWidget(self.histogram)
        column.addWidget(self._make_halves(), 1)
        return content

    def _make_progress(self) -> QWidget:
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 1000)
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # what is below does not jump
        self.progress.setSizePolicy(policy)
        self.progress.hide()
        whole = QWidget(self)
        column = _column(whole, 6)
        column.addWidget(self.progress)
        column.addWidget(self.progress_text)
        return whole

    def _make_halves(self) -> QSplitter:
        left = QWidget(self)
        column = _column(left, 8)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self.table_bar)
        column.addWidget(self.table, 1)
        right = QWidget(self)
        column = _column(right, 0)
        column.setContentsMargins(16, 0, 0, 0)
        column.addWidget(self.side)
        right.setMinimumWidth(SIDE_NARROWEST)
        halves = QSplitter(Qt.Orientation.Horizontal, self)
        halves.addWidget(left)
        halves.addWidget(right)
        halves.setChildrenCollapsible(False)
        halves.setStretchFactor(0, 3)
        halves.setStretchFactor(1, 2)
        halves.setSizes(list(SIZES))
        return halves


def _column(widget: QWidget, spacing: int) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(spacing)
    return column
