"""Messages: read any part of a topic, look into each record, and produce beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QMenu, QProgressBar, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from gui.messages.detail import RecordDetail, fill_copy_menu
from gui.messages.produce import ProducePanel
from gui.messages.record_columns import CellDecoder, key_of
from gui.messages.record_model import RecordModel
from gui.messages.record_table import RecordTable, TableBar
from gui.messages.runner import ScanRunner
from gui.messages.scan_bar import ScanBar
from gui.messages.words import ended_words, progress_words
from gui.pages import PageContext
from kafka_client.errors import ClientError
from kafka_client.model import Datum, Record
from kafka_client.reading.filters import Contains, Matches, make_filter
from kafka_client.reading.plan import KEPT_BYTES, KEPT_RECORDS, ScanPlan, ScanRequest, Start, Until
from kafka_client.reading.scan import Progress, ScanResult
from widgets.charts.histogram import Histogram
from widgets.page_state import Banner, PageState
from widgets.plain import ElidedLabel

LIVE_RECORDS = 20_000
NARROW_AFTER_MS = 180
HISTOGRAM_EVERY_MS = 200
AROUND_OFFSET = 200
NARROWED_AT_ONCE = 4000
"""records that are filtered in the window's thread; more are in a worker"""


class MessagesPage(QWidget):
    """``open(topic=...)`` reads its latest records; with ``partition`` and ``offset`` it reads
    from there and selects that record; ``produce`` opens the form."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.context = context
        self._shown_topic = ""
        self._wanted: tuple[int, int] | None = None
        self._request: ScanRequest | None = None
        self._notes: list[str] = []
        self._narrowed: Contains | None = None
        self.bar = ScanBar(context.theme, self)
        self.runner = ScanRunner(context.session, self)
        self.cells = CellDecoder()
        self.model = RecordModel(self.cells, self)
        self.table = RecordTable(
            context.theme, self.model, memory=context.preferences, menu=self._fill_menu
        )
        self.table_bar = TableBar(context, self.table)
        self.histogram = Histogram(context.theme, "record", self)
        self.detail = RecordDetail(context, self)
        self.produce = ProducePanel(context, self)
        self.progress = QProgressBar(self)
        self.said = ElidedLabel("", self, role="small")
        self.banner = Banner(context.theme, self)
        self._narrow = self._timer(NARROW_AFTER_MS, self._narrow_now)
        self._redraw = self._timer(HISTOGRAM_EVERY_MS, self._draw_histogram)
        self._build()
        self._connect()
        self._refresh()

    def _timer(self, after_ms: int, do: object) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(after_ms)
        timer.timeout.connect(do)
        return timer

    def _build(self) -> None:
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 1000)
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(policy)
        self.progress.hide()
        left = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.table_bar)
        column.addWidget(self.table, 1)
        self.side = QStackedWidget(self)
        self.side.addWidget(self.detail)
        self.side.addWidget(self.produce)
        right = QWidget(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(16, 0, 0, 0)
        column.addWidget(self.side)
        right.setMinimumWidth(360)
        self.halves = QSplitter(Qt.Orientation.Horizontal, self)
        self.halves.addWidget(left)
        self.halves.addWidget(right)
        self.halves.setChildrenCollapsible(False)
        self.halves.setStretchFactor(0, 3)
        self.halves.setStretchFactor(1, 2)
        self.halves.setSizes([750, 440])
        above = QWidget(self)
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.progress)
        column.addWidget(self.said)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(above)
        column.addWidget(self.histogram)
        column.addWidget(self.halves, 1)
        self.state = PageState(self.context.theme, content, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(self.bar)
        layout.addWidget(self.state, 1)

    def _connect(self) -> None:
        self.bar.read_requested.connect(self.read)
        self.bar.stop_requested.connect(self.runner.stop)
        self.bar.topic_chosen.connect(lambda topic: self.open(topic))
        self.bar.produce_requested.connect(self.show_produce)
        self.bar.narrowed.connect(self._narrow.start)
        self.runner.planned.connect(self._planned)
        self.runner.found.connect(self._found)
        self.runner.progressed.connect(self._progressed)
        self.runner.ended.connect(self._ended)
        self.runner.failed.connect(self._failed)
        self.histogram.range_changed.connect(lambda _: self._narrow_now())
        self.table.selection_changed.connect(self._selected)
        self.table.row_opened.connect(lambda _row, _tab: self._show_detail())
        self.table_bar.order_changed.connect(self._reordered)
        self.table_bar.decoders_changed.connect(self._decode_as)
        self.detail.edit_requested.connect(self.show_produce)
        self.produce.closed.connect(self._show_detail)
        self.produce.jump_requested.connect(lambda t, p, o: self.open(t, p, o))
        self.state.retry_requested.connect(self.read)
        self.context.session.snapshot_changed.connect(self._refresh)

    # ---- what others ask

    def open(
        self,
        topic: str = "",
        partition: int | None = None,
        offset: int | None = None,
        produce: bool = False,
        **_: object,
    ) -> None:
        if topic:
            self.bar.set_snapshot(self.context.session.snapshot)
            same = topic == self._shown_topic and (self.model.kept or self.runner.running)
            self.bar.set_topic(topic, partition)
            self._decoders_of(topic)
            if offset is not None:
                self.bar.set_start(Start.OFFSET, offset)
                self.bar.set_until(Until.COUNT, AROUND_OFFSET)
                self.bar.text.clear()
                self._wanted = (partition or 0, offset)
                self.read()
            elif not same or partition is not None:
                if self.bar.chosen_start is Start.OFFSET:
                    self.bar.set_start(Start.LATEST)
                self.read()
        if produce:
            self.show_produce()

    def read(self) -> None:
        """Begin the scan that the bar describes."""
        if not self.bar.topic_name():
            self.bar.topic.setFocus()
            return
        request = self.bar.request(self.table_bar.order)
        if isinstance(request, str):
            if self.context.session.loaded:
                self.banner.say(request, "bad")
            return
        self.histogram.choose(None)
        self.model.clear()
        live = request.endless
        self.model.set_limits(LIVE_RECORDS if live else KEPT_RECORDS, KEPT_BYTES)
        self._narrowed = request.contains
        self.model.set_matches(make_filter(request.contains))
        self.histogram.set_times(self.model.times())
        self.detail.show_record(None)
        self.banner.say("")
        self._notes = []
        self._request, self._shown_topic = request, request.topic
        self.produce.set_topic(request.topic)
        self.state.show_content()
        self.table.clear_empty_words()
        self.bar.set_running(True)
        self.progress.setRange(0, 0 if live else 1000)
        self.progress.setValue(0)
        self.progress.show()
        self.said.show_text("Asking for the offsets…")
        self.runner.start(request)

    def show_produce(self, record: Record | None = None) -> None:
        if isinstance(record, Record):
            self.produce.load(record)
        elif self.bar.topic_name():
            self.produce.set_topic(self.bar.topic_name())
        if self.state.state == "empty" and not self.bar.topic_name():
            self.bar.topic.setFocus()
            self.context.notify("Choose a topic first.", "accent")
            return
        self.state.show_content()
        self.side.setCurrentWidget(self.produce)
        self.produce.begin()

    # ---- the scan

    def _planned(self, plan: ScanPlan) -> None:
        self._notes = [*plan.notes, *(f"{subject}: {why}" for subject, why in plan.errors.items())]
        if self._notes:
            self.banner.say("  ".join(self._notes[:3]), "warn")

    def _found(self, records: Sequence[Record]) -> None:
        above = self.model.add(records)
        self.table.keep_place(above)
        if not self._redraw.isActive():
            self._redraw.start()
        if self._wanted is not None:
            for record in records:
                if key_of(record) >= self._wanted and record.partition == self._wanted[0]:
                    self._wanted = None
                    self.table.select_key(key_of(record))
                    break

    def _progressed(self, progress: Progress) -> None:
        if self._request is None or not self.runner.running:
            return
        if progress.fraction is not None:
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(progress.fraction * 1000))
        self.said.show_text(progress_words(progress, self._request, self.model.evicted))

    def _ended(self, result: ScanResult | None) -> None:
        self._finish()
        request = self._request
        assert request is not None
        self.said.show_text(ended_words(result, request, self.model.kept, self.model.evicted))
        if result is not None and result.missed:
            missed = ", ".join(map(str, result.missed[:8]))
            self.banner.say(
                f"Partition {missed} did not answer: its records are missing here.", "warn", ""
            )
        if not self.model.kept:
            self._say_nothing(request)
        elif self.table.current_row() is None and not request.endless:
            self.table.select_first()
            if self.bar.topic.hasFocus():
                self.table.table.setFocus()  # so that the arrow keys walk through what came

    def _failed(self, error: ClientError) -> None:
        self._finish()
        if self.model.kept:
            self.said.show_text(f"{self.model.kept:,} records were read before it failed.")
            self.banner.say(f"{error} {error.next_step}".strip(), "bad")
        else:
            self.said.show_text("")
            self.state.show_failed("The records could not be read", str(error), error.next_step)

    def _finish(self) -> None:
        self._wanted = None
        self.bar.set_running(False)
        self.progress.hide()
        self._draw_histogram()

    def _say_nothing(self, request: ScanRequest) -> None:
        if request.contains is not None:
            self.table.set_empty_words(
                "search",
                "No record matches",
                f"None of those read contains “{request.contains.text[:60]}”.",
            )
        elif request.endless:
            self.table.set_empty_words(
                "live", "Nothing came", "No record was written while you looked."
            )
        else:
            self.table.set_empty_words(
                "messages",
                "No records there",
                "The range holds none. Choose another start, or Live to wait for some.",
            )

    # ---- what is shown of it

    def _narrow_now(self) -> None:
        """By what is typed and brushed, among what is loaded; among many records in a worker."""
        contains = self.bar.contains()
        if contains == self._narrowed:
            self._keeping_place(lambda: self.model.set_range(self.histogram.chosen))
            return
        holds = make_filter(contains)
        if holds is None or self.model.kept <= NARROWED_AT_ONCE:
            self._take_narrowed(contains, holds, None, 0)
            return
        records, generation, dropped = (
            self.model.all_rows,
            self.model.generation,
            self.model.evicted,
        )

        async def filtered(_client: object) -> list[Record]:
            return await asyncio.to_thread(lambda: [record for record in records if holds(record)])

        def taken(matching: list[Record]) -> None:
            if self.bar.contains() != contains or self.model.generation != generation:
                return  # another text was typed, another scan began
            count = self.model.evicted - dropped
            gone = {id(record) for record in records[:count]}
            matching = [record for record in matching if id(record) not in gone]
            self._take_narrowed(contains, holds, matching, max(0, len(records) - count))

        self.context.session.ask(
            filtered, taken, lambda error: self.said.show_text(str(error)), self
        )

    def _take_narrowed(
        self,
        contains: Contains | None,
        holds: Matches | None,
        matching: list[Record] | None,
        seen: int,
    ) -> None:
        self._narrowed = contains
        self._keeping_place(lambda: self.model.set_matches(holds, matching, seen))
        request, kept = self._request, self.model.kept
        if (
            not self.runner.running
            and request is not None
            and kept
            and contains != request.contains
        ):
            found = f"{self.model.rowCount():,} of the {kept:,} records loaded match."
            self.said.show_text(f"{found} Enter searches the topic.")
        self._draw_histogram()

    def _keeping_place(self, change: Callable[[], None]) -> None:
        current = self.table.current_row()
        change()
        if current is not None:
            self.table.select_key(key_of(current))

    def _draw_histogram(self) -> None:
        self.histogram.set_times(self.model.times())

    def _reordered(self) -> None:
        if (
            self._request is not None
            and self.table_bar.order is not self._request.order
            and not self.runner.running
        ):
            self.said.show_text(f"{self.model.kept:,} records loaded, in another order.")

    def _decode_as(self) -> None:
        key, value = self.table_bar.kinds
        self.model.decode_as(key, value)
        if self.detail.record is not None:
            self.detail.show_record(self.detail.record, key, value)
        if self._shown_topic:
            self.context.preferences.set_value(
                f"decoders/{self._shown_topic}", [str(key), str(value)]
            )

    def _decoders_of(self, topic: str) -> None:
        saved = self.context.preferences.value(f"decoders/{topic}", None)
        self.table_bar.set_kinds(saved if isinstance(saved, list) else [])
        self.cells.choose(*self.table_bar.kinds)

    def _selected(self, _rows: list[Record]) -> None:
        record = self.table.current_row()
        if record is not None:
            self.detail.show_record(record, *self.table_bar.kinds)

    def _show_detail(self) -> None:
        self.side.setCurrentWidget(self.detail)

    def _fill_menu(self, rows: list[Record], menu: QMenu) -> None:
        if len(rows) != 1:
            return
        record = rows[0]
        fill_copy_menu(menu, record)
        menu.addSeparator()
        again = menu.addAction("Edit and send…", lambda: self.show_produce(record))
        again.setEnabled(not self.context.session.read_only)
        menu.addAction(
            "Read from here", lambda: self.open(record.topic, record.partition, record.offset)
        )

    def _refresh(self, *_: object) -> None:
        session = self.context.session
        self.bar.set_snapshot(session.snapshot)
        self.produce.set_snapshot(session.snapshot)
        if self._request is not None:
            return
        if not session.loaded:
            sampled = session.snapshot.sampled.get(Datum.METADATA)
            if sampled is not None and sampled.error:
                self.state.show_failed(
                    "The topics could not be listed", sampled.error, sampled.next_step, retry=False
                )
            else:
                self.state.show_loading("Asking the cluster for its topics…")
        elif self.bar.topic_name():
            self.read()  # it was chosen before the topics were known
        else:
            self.state.show_empty(
                "Choose a topic",
                "Its latest records appear here. No group is joined.",
                icon="messages",
            )
