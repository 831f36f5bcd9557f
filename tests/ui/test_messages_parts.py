"""Parts of the Messages page: the scan runner, the detail of a record, copying, sending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from gui.jobs import JobState
from gui.messages.bytes_view import BLANK, HEX, PARSED_AT_ONCE, TEXT, TREE, BytesView
from gui.messages.detail import RecordDetail, fill_copy_menu
from gui.messages.layout import MessagesLayout
from gui.messages.produce import ProducePanel
from gui.messages.record_columns import CellDecoder
from gui.messages.record_model import RecordModel
from gui.messages.record_table import RecordTable
from gui.messages.runner import FEED_LIMIT, Feed, ScanRunner
from gui.messages.table_bar import TableBar
from kafka_client.errors import TimedOut
from kafka_client.model import Header, Record
from kafka_client.reading.decode import Kind
from kafka_client.reading.plan import Order, ScanRequest, Start, Until
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host


@pytest.fixture
def made(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path) as found:
        yield found


def record(offset: int = 0, value: bytes | None = b"v\n1", key: bytes | None = b"k") -> Record:
    return Record("t", 2, offset, 1_000, "create", key, value, (Header("h", b"x"),))


REQUEST = ScanRequest("email", (0, 1, 2), Start.EARLIEST, 0, Until.COUNT, 300, Order.TIME, None)
LIVE = ScanRequest("sms", (0,), Start.LIVE, 0, Until.ENDLESS, 0, Order.TIME, None)


class Heard:
    """What a runner emitted, in order."""

    def __init__(self, runner: ScanRunner) -> None:
        self.events: list[str] = []
        self.records = 0
        runner.planned.connect(lambda _: self.events.append("planned"))
        runner.found.connect(self._found)
        runner.ended.connect(lambda _: self.events.append("ended"))
        runner.stopped.connect(lambda: self.events.append("stopped"))
        runner.failed.connect(lambda error: self.events.append(str(error)))

    def _found(self, records: list[Record]) -> None:
        self.records += len(records)
        if "found" not in self.events:
            self.events.append("found")


def test_that_a_scan_is_planned_found_and_ended(made: PageHost, qtbot: QtBot) -> None:
    runner = ScanRunner(made.session)
    heard = Heard(runner)
    runner.start(REQUEST)
    assert runner.running
    qtbot.waitUntil(lambda: not runner.running)
    assert heard.events == ["planned", "found", "ended"] and heard.records == 300
    (job,) = made.session.jobs.values()
    assert job.state is JobState.DONE and job.sentence.endswith("300 match.")


def test_that_a_scan_that_is_stopped_keeps_what_it_read(made: PageHost, qtbot: QtBot) -> None:
    runner = ScanRunner(made.session)
    heard = Heard(runner)
    runner.start(LIVE)
    qtbot.waitUntil(lambda: heard.records > 0)
    runner.stop()
    assert heard.events[-1] == "stopped" and not runner.running
    before = heard.records
    qtbot.wait(100)
    assert heard.records == before


def test_that_a_scan_cancelled_in_the_list_of_jobs_ends_as_if_stopped(
    made: PageHost, qtbot: QtBot
) -> None:
    runner = ScanRunner(made.session)
    heard = Heard(runner)
    runner.start(LIVE)
    qtbot.waitUntil(lambda: heard.records > 0)
    made.session.cancel_job(next(iter(made.session.jobs)))
    qtbot.waitUntil(lambda: heard.events[-1] == "stopped")
    assert not runner.running


def test_that_a_scan_that_another_replaces_emits_nothing_more(made: PageHost, qtbot: QtBot) -> None:
    runner = ScanRunner(made.session)
    runner.start(LIVE)
    heard = Heard(runner)
    runner.start(REQUEST)
    qtbot.waitUntil(lambda: not runner.running)
    assert heard.events == ["planned", "found", "ended"] and heard.records == 300


def test_that_a_failure_comes_after_what_was_read(made: PageHost, qtbot: QtBot) -> None:
    made.client.failing["offsets"] = TimedOut("No answer.")
    runner = ScanRunner(made.session)
    heard = Heard(runner)
    runner.start(REQUEST)
    qtbot.waitUntil(lambda: not runner.running)
    assert heard.events == ["No answer."]


async def test_that_a_full_feed_makes_the_scan_wait() -> None:
    feed = Feed()
    putting = asyncio.ensure_future(feed.put([record(n) for n in range(FEED_LIMIT + 1)]))
    await asyncio.sleep(0.06)
    assert not putting.done()
    assert len(feed.take(10)) == 10
    await asyncio.wait_for(putting, 5)


# ---- what is shown of a record


def test_that_bytes_are_shown_in_the_view_that_suits_them(made: PageHost, qtbot: QtBot) -> None:
    view = BytesView(made.context)
    qtbot.addWidget(view)
    view.show_bytes(b'{"a": 1}', Kind.GUESS, file_name="x", null_text="none")
    assert view.view == TREE
    view.show_bytes(bytes(range(200, 256)), Kind.GUESS, file_name="x", null_text="none")
    assert view.view == HEX and not view.views.button(TREE).isEnabled()
    view.show_bytes(None, Kind.GUESS, file_name="x", null_text="A tombstone.")
    assert view.view == BLANK and "A tombstone." in view.empty_state.words
    view.views.button(TEXT).click()
    view.show_bytes(b"plain", Kind.GUESS, file_name="x", null_text="none")
    assert view.view == TEXT and view.description.text().endswith("5 B")


def test_that_large_json_is_parsed_in_a_worker_and_broken_json_explained(
    made: PageHost, qtbot: QtBot
) -> None:
    view = BytesView(made.context)
    qtbot.addWidget(view)
    large = b'{"a": "' + b"x" * PARSED_AT_ONCE + b'"}'
    view.show_bytes(large, Kind.JSON, file_name="x", null_text="none")
    assert view.view == TEXT, "a large tree is not made unasked"
    view.views.button(TREE).click()
    assert view.view == BLANK and "Parsing" in view.empty_state.words
    qtbot.waitUntil(lambda: view.view == TREE)
    view.show_bytes(large[:-1], Kind.JSON, file_name="x", null_text="none")
    view.views.button(TREE).click()
    qtbot.waitUntil(lambda: view.view == TEXT)
    assert not view.views.button(TREE).isEnabled() and view.description.text()


def test_that_the_age_of_a_record_goes_on(made: PageHost, qtbot: QtBot) -> None:
    detail = RecordDetail(made.context)
    qtbot.addWidget(detail)
    detail.show()
    now_ms = round(time.time() * 1000) - 61_500
    detail.show_record(Record("t", 0, 0, now_ms, "create", b"k", b"v"))
    first = detail.written.text()
    assert first.startswith("1 min")
    qtbot.waitUntil(lambda: detail.written.text() != first, timeout=5000)
    detail.show_record(Record("t", 0, 0, -1, "none", b"k", b"v"))
    assert detail.written.text() == "no timestamp"


def test_that_parts_of_a_record_are_copied(made: PageHost, qapp: QApplication) -> None:
    menu = QMenu()
    fill_copy_menu(menu, record(7))
    actions = {action.text(): action for action in menu.actions()}
    actions["Copy key"].trigger()
    assert QGuiApplication.clipboard().text() == "k"
    actions["Copy topic, partition and offset"].trigger()
    assert QGuiApplication.clipboard().text() == "t-2@7"
    tombstone = QMenu()
    fill_copy_menu(tombstone, record(value=None, key=None))
    assert next(a.text() for a in tombstone.actions()) == "Copy record as JSON"


def test_that_rows_are_copied_whole_and_stay_rows(made: PageHost, qtbot: QtBot) -> None:
    model = RecordModel(CellDecoder())
    table = RecordTable(made.theme, model, memory=made.preferences, menu=lambda *_: None)
    qtbot.addWidget(table)
    bar = TableBar(made.context, table)
    long = b"x" * 5000
    model.add([record(1, long), record(2, b"a\tb\nc")])
    assert bar.counts.text() == "2 records"
    table.table.selectAll()
    table.copy()
    lines = QGuiApplication.clipboard().text().split("\n")
    assert len(lines) == 2 and "x" * 5000 in lines[1] + lines[0]
    assert {line.count("\t") for line in lines} == {len(table.columns.shown()) - 1}


def test_that_the_parts_of_the_page_stand_where_they_belong(made: PageHost, qtbot: QtBot) -> None:
    model = RecordModel(CellDecoder())
    layout = MessagesLayout(made.context, model, lambda *_: None, None)  # type: ignore[arg-type]
    qtbot.addWidget(layout)
    layout.resize(1016, 590)
    layout.show()
    assert layout.side.currentWidget() is layout.detail
    assert layout.bar.geometry().bottom() < layout.state.geometry().top()
    assert layout.table.width() > layout.side.width()


def test_that_sending_is_reported_in_words(made: PageHost, qtbot: QtBot) -> None:
    panel = ProducePanel(made.context)
    qtbot.addWidget(panel)
    panel.set_snapshot(made.session.snapshot)
    panel.set_topic("email")
    panel.value.text.setPlainText("x")
    made.client.failing["produce"] = TimedOut("No answer.", next_step="Try again.")
    panel.send_now()
    assert not panel.send.isEnabled(), "not twice"
    qtbot.waitUntil(lambda: "No answer. Try again." in panel.banner.sentence)
    made.client.failing.clear()
    panel.send_now()
    qtbot.waitUntil(lambda: panel.banner.sentence.startswith("Stored in partition"))
    jumps: list[tuple[str, int, int]] = []
    panel.jump_requested.connect(lambda *place: jumps.append(place))
    panel.banner.action_requested.emit()
    assert jumps and jumps[0][0] == "email"
