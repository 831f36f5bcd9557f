"""Messages: read any part of a topic, look into each record, and produce beside it.

Reading joins no consumer group and creates no topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QMenu, QVBoxLayout
from typing_extensions import override

from gui.messages.detail import fill_copy_menu
from gui.messages.layout import MessagesLayout
from gui.messages.record_columns import CellDecoder, Key, key_of
from gui.messages.record_model import RecordModel
from gui.messages.runner import ScanRunner
from gui.messages.scan_text import empty_words, outcome_text, progress_text
from gui.navigation import MessagesTarget, ProduceTarget, Target
from gui.page_kit.live_page import LivePage
from gui.page_kit.table_list import MARGINS
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, Record
from kafka_client.reading.filters import Contains, Matches, make_filter
from kafka_client.reading.plan import KEPT_BYTES, KEPT_RECORDS, ScanPlan, ScanRequest, Start, Until
from kafka_client.reading.scan import Progress, ScanResult
from resources.wording import counted

LIVE_RECORDS = 20_000
"""records that a live tail keeps"""
NARROW_AFTER_MS = 180
HISTOGRAM_EVERY_MS = 200
AROUND_OFFSET = 200
"""records read around an offset that was asked for"""
FILTERED_AT_ONCE = 4000
"""records filtered in the window's thread; a worker filters more"""
NOTES_SHOWN = 3
PARTITIONS_NAMED = 8


class MessagesPage(LivePage):
    """A MessagesTarget reads records of a topic, a ProduceTarget opens the produce form."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._shown_topic = ""
        self._wanted: Key | None = None
        """record to select as soon as it is read, or the next one of its partition"""
        self._request: ScanRequest | None = None
        """the scan that runs or ran last"""
        self._filter: Contains | None = None
        """the filter that the table shows"""
        self._filtering: asyncio.Task[None] | None = None
        self.runner = ScanRunner(self.session, self)
        self.decoder = CellDecoder()
        self.model = RecordModel(self.decoder, self)
        parts = MessagesLayout(context, self.model, self._fill_menu, self)
        self.bar, self.banner, self.state = parts.bar, parts.banner, parts.state
        self.progress, self.progress_text = parts.progress, parts.progress_text
        self.histogram, self.table, self.table_bar = parts.histogram, parts.table, parts.table_bar
        self.side, self.detail, self.produce = parts.side, parts.detail, parts.produce
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.addWidget(parts)
        self._narrow_later = self._timer(NARROW_AFTER_MS, self._narrow)
        self._draw_later = self._timer(HISTOGRAM_EVERY_MS, self._draw_histogram)
        self._connect_scan()
        self._connect_view()
        self.watch(self.state)
        self.setFocusProxy(self.bar.topic)

    def _timer(self, after_ms: int, do: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(after_ms)
        timer.timeout.connect(do)
        return timer

    def _connect_scan(self) -> None:
        self.bar.read_requested.connect(self.read)
        self.bar.stop_requested.connect(self.runner.stop)
        self.bar.topic_chosen.connect(lambda topic: self.read_topic(topic))
        self.bar.produce_requested.connect(self.show_produce)
        self.bar.filter_changed.connect(self._narrow_later.start)
        self.state.retry_requested.connect(self.read)
        self.runner.planned.connect(self._show_notes)
        self.runner.found.connect(self._add_records)
        self.runner.progressed.connect(self._show_progress)
        self.runner.ended.connect(self._show_outcome)
        self.runner.stopped.connect(lambda: self._show_outcome(None))
        self.runner.failed.connect(self._show_failure)

    def _connect_view(self) -> None:
        self.histogram.range_changed.connect(self._narrow)
        self.histogram.read_requested.connect(self._read_range)
        self.table.selection_changed.connect(lambda _: self._show_selected())
        self.table.row_opened.connect(lambda _row, _tab: self._show_detail())
        self.table_bar.order_changed.connect(self._order_changed)
        self.table_bar.decoders_changed.connect(self._decoders_changed)
        self.detail.edit_requested.connect(self.show_produce)
        self.produce.closed.connect(self._show_detail)
        self.produce.jump_requested.connect(self.read_topic)

    # ---- opening

    def show_target(self, target: Target) -> None:
        match target:
            case MessagesTarget(topic, partition, offset):
                self.read_topic(topic, partition, offset)
            case ProduceTarget(topic):
                if topic:
                    self.read_topic(topic)
                self.show_produce()

    def read_topic(
        self, topic: str, partition: int | None = None, offset: int | None = None
    ) -> None:
        """Read the latest records, or those from an offset on, and select the first.

        A topic that is shown already is not read again.
        """
        self.bar.set_snapshot(self.session.snapshot)
        is_shown = topic == self._shown_topic and (self.model.kept > 0 or self.runner.running)
        self.bar.set_topic(topic, partition)
        self._restore_decoders(topic)
        if offset is not None:
            self.bar.set_start(Start.OFFSET, offset)
            self.bar.set_until(Until.COUNT, AROUND_OFFSET)
            self.bar.text.clear()
            self._wanted = (partition or 0, offset)
            self.read()
        elif not is_shown or partition is not None:
            if self.bar.chosen_start is Start.OFFSET:
                self.bar.set_start(Start.LATEST)
            self.read()

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        self.bar.set_snapshot(snapshot)
        self.produce.set_snapshot(snapshot)
        if self._request is not None:
            return
        if self.bar.topic_name():
            self.read()  # the topic was chosen before the topics were known
        else:
            self.state.show_empty(
                "Choose a topic",
                "Its latest records appear here. Reading joins no consumer group.",
                icon="messages",
            )

    def show_produce(self, record: Record | None = None) -> None:
        """Open the produce form, filled with a copy of ``record`` if there is one."""
        if isinstance(record, Record):
            self.produce.load(record)
        elif self.bar.topic_name():
            self.produce.set_topic(self.bar.topic_name())
        else:
            self.bar.topic.setFocus()
            self.context.notify("Choose a topic first.", "accent")
            return
        self.state.show_content()
        self.side.setCurrentWidget(self.produce)
        self.produce.begin()

    # ---- the scan

    def _read_range(self, chosen: tuple[int, int]) -> None:
        """Read the topic between two moments, in ms since the epoch."""
        self.bar.set_start(Start.TIMESTAMP, chosen[0])
        self.bar.set_until(Until.TIMESTAMP, chosen[1])
        self.read()

    def read(self) -> None:
        """Start the scan that the bar describes, in place of the one before."""
        if not self.bar.topic_name():
            self.bar.topic.setFocus()
            return
        request = self.bar.request(self.table_bar.order)
        if isinstance(request, str):
            if self.session.loaded:
                self.banner.show_message(request, "bad")
            return
        self._request, self._shown_topic = request, request.topic
        self._clear(request)
        self.produce.set_topic(request.topic)
        self.state.show_content()
        self.bar.set_running(True)
        self.progress.setRange(0, 0 if request.endless else 1000)
        self.progress.setValue(0)
        self.progress.show()
        self.progress_text.show_text("Reading the offsets…")
        self.runner.start(request)

    def _clear(self, request: ScanRequest) -> None:
        self._cancel_filtering()
        self.histogram.choose(None)
        self.model.clear()
        kept = LIVE_RECORDS if request.endless else KEPT_RECORDS
        self.model.set_limits(kept, KEPT_BYTES)
        self._filter = request.contains
        self.model.set_matches(make_filter(request.contains))
        self._draw_histogram()
        self.detail.show_record(None)
        self.banner.show_message("")
        self.table.clear_empty_words()

    def _show_notes(self, plan: ScanPlan) -> None:
        notes = [*plan.notes, *(f"{subject}: {why}" for subject, why in plan.errors.items())]
        if notes:
            self.banner.show_message("  ".join(notes[:NOTES_SHOWN]), "warn")

    def _add_records(self, records: Sequence[Record]) -> None:
        self.table.keep_place(self.model.add(records))
        if not self._draw_later.isActive():
            self._draw_later.start()
        if self._wanted is not None:
            self._select_wanted(records, self._wanted)

    def _select_wanted(self, records: Sequence[Record], wanted: Key) -> None:
        """Compaction may have removed the wanted offset: the next one of the partition serves."""
        for record in records:
            if record.partition == wanted[0] and key_of(record) >= wanted:
                self._wanted = None
                self.table.select_key(key_of(record))
                return

    def _show_progress(self, progress: Progress) -> None:
        if self._request is None or not self.runner.running:
            return
        if progress.fraction is not None:
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(progress.fraction * 1000))
        text = progress_text(progress, self._request, self.model.evicted)
        self.progress_text.show_text(text)

    def _show_outcome(self, result: ScanResult | None) -> None:
        """``result`` is None when the person stopped the scan."""
        request = self._request
        assert request is not None
        self._scan_is_over()
        kept = self.model.kept
        self.progress_text.show_text(outcome_text(result, request, kept, self.model.evicted))
        if result is not None and result.missed:
            missed = ", ".join(map(str, result.missed[:PARTITIONS_NAMED]))
            self.banner.show_message(
                f"No answer from partition {missed}: its records are missing here.", "warn"
            )
        if not kept:
            self.table.set_empty_words(*empty_words(request))
        elif self.table.current_row() is None and not request.endless:
            self.table.select_first()
            if self.bar.topic.hasFocus():
                self.table.table.setFocus()  # the arrow keys walk through the records

    def _show_failure(self, error: ClientError) -> None:
        self._scan_is_over()
        kept = self.model.kept
        if kept:
            self.progress_text.show_text(f"{counted(kept, 'record')} read before the failure.")
            self.banner.show_message(f"{error} {error.next_step}".strip(), "bad")
        else:
            self.progress_text.show_text("")
            self.state.show_failed("The records could not be read", str(error), error.next_step)

    def _scan_is_over(self) -> None:
        self._wanted = None
        self.bar.set_running(False)
        self.progress.hide()
        self._draw_histogram()

    # ---- filter and time range

    def _narrow(self) -> None:
        """Show what matches the typed text and the chosen time range among the loaded records."""
        contains = self.bar.contains()
        self._cancel_filtering()
        if contains == self._filter:
            self._keep_selection(lambda: self.model.set_range(self.histogram.chosen))
            return
        matches = make_filter(contains)
        if matches is None or self.model.kept <= FILTERED_AT_ONCE:
            self._show_filtered(contains, matches, None, 0)
        else:
            work = self._filter_in_worker(contains, matches)
            self._filtering = self.session.tasks.start(work, owner=self)

    async def _filter_in_worker(self, contains: Contains | None, matches: Matches) -> None:
        """Cancelled when another text is typed or another scan starts."""
        records, evicted = self.model.all_rows, self.model.evicted

        async def filter_records(_client: object) -> list[Record]:
            return await asyncio.to_thread(lambda: [r for r in records if matches(r)])

        try:
            matching = await self.session.ask(filter_records)
        except ClientError as error:
            self.progress_text.show_text(str(error))
            return
        # A live tail may have evicted some of the records meanwhile.
        gone = records[: self.model.evicted - evicted]
        gone_ids = {id(record) for record in gone}
        matching = [record for record in matching if id(record) not in gone_ids]
        self._show_filtered(contains, matches, matching, len(records) - len(gone))

    def _cancel_filtering(self) -> None:
        if self._filtering is not None:
            self._filtering.cancel()
            self._filtering = None

    def _show_filtered(
        self,
        contains: Contains | None,
        matches: Matches | None,
        matching: list[Record] | None,
        seen: int,
    ) -> None:
        """``matching`` are those of the first ``seen`` records that match, if already known."""
        self._filter = contains
        self._keep_selection(lambda: self.model.set_matches(matches, matching, seen))
        request, kept = self._request, self.model.kept
        if request is None or self.runner.running or not kept:
            pass  # the scan reports its own progress
        elif contains != request.contains:
            shown = self.model.rowCount()
            self.progress_text.show_text(
                f"{shown:,} of the {kept:,} loaded records match. Enter searches the topic."
            )
        self._draw_histogram()

    def _keep_selection(self, change: Callable[[], None]) -> None:
        """The change resets the model, which forgets the current record."""
        current = self.table.current_row()
        change()
        if current is not None:
            self.table.select_key(key_of(current))

    def _draw_histogram(self) -> None:
        self.histogram.set_times(self.model.times())

    # ---- order, decoders, details

    def _order_changed(self) -> None:
        request = self._request
        if request is None or self.runner.running:
            return
        if self.table_bar.order is not request.order:
            kept = counted(self.model.kept, "record")
            self.progress_text.show_text(f"{kept} loaded, in another order.")

    def _decoders_changed(self) -> None:
        key, value = self.table_bar.kinds
        self.model.decode_as(key, value)
        if self.detail.record is not None:
            self.detail.show_record(self.detail.record, key, value)
        if self._shown_topic:
            name = f"decoders/{self._shown_topic}"
            self.context.preferences.set_value(name, [str(key), str(value)])

    def _restore_decoders(self, topic: str) -> None:
        saved = self.context.preferences.value(f"decoders/{topic}", None)
        self.table_bar.set_kinds(saved if isinstance(saved, list) else [])
        self.decoder.choose(*self.table_bar.kinds)

    def _show_selected(self) -> None:
        record = self.table.current_row()
        if record is not None:
            self.detail.show_record(record, *self.table_bar.kinds)

    def _show_detail(self) -> None:
        self.side.setCurrentWidget(self.detail)

    def _fill_menu(self, rows: list[Record], menu: QMenu) -> None:
        if len(rows) != 1:
            return
        record = rows[0]
        if record.unreadable is not None:
            after = record.unreadable.last_offset + 1
            menu.addAction(
                "Read from behind it",
                lambda: self.read_topic(record.topic, record.partition, after),
            )
            return
        fill_copy_menu(menu, record)
        menu.addSeparator()
        resend = menu.addAction("Edit and send…", lambda: self.show_produce(record))
        resend.setEnabled(not self.session.read_only)
        menu.addAction(
            "Read from here", lambda: self.read_topic(record.topic, record.partition, record.offset)
        )
