"""The Messages page over a fake cluster: reading, narrowing, looking, and sending."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit
from pytestqt.qtbot import QtBot

from gui.messages.page import MessagesPage
from gui.navigation import MessagesTarget, ProduceTarget
from kafka_client.errors import TimedOut
from kafka_client.model import Record, Unreadable
from kafka_client.reading.decode import Kind
from kafka_client.reading.plan import Start, Until
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host


class Page:
    def __init__(self, made: PageHost, qtbot: QtBot) -> None:
        self.made, self.qtbot = made, qtbot
        self.page = MessagesPage(made.context)
        qtbot.addWidget(self.page)
        self.page.resize(1240, 800)
        self.page.show()
        self.model = self.page.model
        self.tester = QAbstractItemModelTester(
            self.model, QAbstractItemModelTester.FailureReportingMode.Warning, self.page
        )

    def ended(self) -> None:
        self.qtbot.waitUntil(lambda: not self.page.runner.running, timeout=8000)

    def read(self) -> None:
        self.page.read()
        self.ended()


@pytest.fixture
def here(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Page]:
    with page_host(
        qtbot, qapp, FakeClient(FakeCluster(time.time, moving=False).populate()), tmp_path
    ) as made:
        yield Page(made, qtbot)


def test_that_it_asks_for_a_topic_first(here: Page) -> None:
    assert here.page.state.state == "empty"
    assert here.made.client.calls == []


def test_that_opening_a_topic_shows_its_latest_records_newest_first(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    assert here.model.rowCount() == 500
    times = [record.timestamp_ms for record in here.model.rows]
    assert times == sorted(times, reverse=True)
    assert here.page.detail.record is here.model.row_at(0)
    assert "500 records" in here.page.progress_text.text()
    assert here.page.detail.value.description.text().startswith("JSON, guessed")


def test_that_a_place_is_read_and_selected(here: Page) -> None:
    here.page.show_target(MessagesTarget("email", 1, 700))
    here.ended()
    record = here.page.table.current_row()
    assert record is not None and (record.partition, record.offset) == (1, 700)
    assert {r.partition for r in here.model.rows} == {1} and here.model.rowCount() == 200


def test_that_typing_narrows_and_enter_searches(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.bar.text.setText("invoice")
    here.qtbot.waitUntil(lambda: 0 < here.model.rowCount() < 200)
    assert here.model.kept == 500 and "Enter searches" in here.page.progress_text.text()
    here.read()
    assert here.model.kept == 500 and "match" in here.page.progress_text.text()
    assert all(b"invoice" in (r.value or b"") for r in here.model.rows)


def test_that_nothing_found_says_so(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.bar.text.setText("no such text")
    here.read()
    assert here.model.rowCount() == 0 and here.page.table.empty_state.isVisible()
    assert here.page.detail.record is None


def test_that_brushing_the_histogram_narrows_the_time(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    times = sorted(r.timestamp_ms for r in here.model.rows)
    here.page.histogram.choose((times[100], times[200]))
    assert all(times[100] <= r.timestamp_ms < times[200] for r in here.model.rows)
    assert here.model.rowCount() < 500
    here.page.histogram.choose(None)
    assert here.model.rowCount() == 500


def test_that_the_region_of_the_histogram_is_read_from_the_topic(here: Page) -> None:
    """Also records of that time that were not among those read before."""
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    times = sorted(r.timestamp_ms for r in here.model.rows)
    low, high = times[100], times[200]
    assert not here.page.runner.running
    here.page.histogram.choose((low, high))
    here.page.histogram.read_requested.emit((low, high))
    here.ended()
    assert here.page.bar.chosen_start is Start.TIMESTAMP
    assert here.page.bar.chosen_until is Until.TIMESTAMP
    read = [r.timestamp_ms for r in here.model.rows]
    assert read and all(low <= at <= high for at in read)
    assert here.page.histogram.chosen is None, "all that was read is shown"


def test_that_live_records_come_by_themselves_until_stopped(here: Page) -> None:
    here.page.bar.set_topic("sms")
    here.page.bar.set_start(Start.LIVE)
    here.page.read()
    here.qtbot.waitUntil(lambda: here.model.rowCount() > 10, timeout=8000)
    assert here.page.bar.read_button.text() == "Stop"
    here.page.bar.read_button.click()
    assert not here.page.runner.running and here.page.progress_text.text().startswith("Stopped")
    shown = here.model.rowCount()
    here.qtbot.wait(150)
    assert here.model.rowCount() == shown


def test_that_another_scan_forgets_the_one_before(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.page.show_target(MessagesTarget("slack"))
    here.ended()
    assert {r.topic for r in here.model.rows} == {"slack"}


def test_that_wrong_ranges_are_told_and_not_read(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    calls = len(here.made.client.calls)
    here.page.bar.partitions.setEditText("9")
    here.page.read()
    assert "not among them" in here.page.banner.sentence
    here.page.bar.partitions.setEditText("0-1")
    here.page.bar.start_count.setText("many")
    here.page.read()
    assert "not a valid number" in here.page.banner.sentence
    here.page.bar.set_topic("no-such-topic")
    here.page.read()
    assert "There is no topic" in here.page.banner.sentence
    assert len(here.made.client.calls) == calls


def test_that_a_failure_names_its_reason_and_can_be_tried_again(here: Page) -> None:
    here.made.client.failing["offsets"] = TimedOut(
        "Broker 2 did not answer.", next_step="Look at the brokers."
    )
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    assert here.page.state.state == "failed"
    here.made.client.failing.clear()
    here.page.state.retry_requested.emit()
    here.ended()
    assert here.page.state.state == "content" and here.model.rowCount() == 500


def test_that_orders_and_sorting_keep_the_selected_record(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.table.table.selectRow(7)
    chosen = here.page.table.current_row()
    for name, down in (("time", False), ("key", True), ("size", False), ("partition", False)):
        here.page.table.sort_by(name, down)
        assert here.page.table.current_row() is chosen
    keys = [(r.partition, r.offset) for r in here.model.rows]
    assert keys == sorted(keys)


def test_that_decoders_are_remembered_by_topic(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.table_bar.value_as.setCurrentText(str(Kind.HEX))
    assert here.model.index(0, 4).data().startswith("7b 22")
    assert here.page.detail.value.description.text().startswith("hex")
    here.page.show_target(MessagesTarget("slack"))
    assert here.page.table_bar.kinds == (Kind.GUESS, Kind.GUESS)
    here.ended()
    here.page.show_target(MessagesTarget("email"))
    assert here.page.table_bar.kinds == (Kind.GUESS, Kind.HEX)
    here.ended()


def test_that_what_is_shown_is_exported(here: Page, tmp_path: Path) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.table_bar.export_to(str(tmp_path / "out.jsonl"), "jsonl")
    here.qtbot.waitUntil(lambda: len(here.made.notes) == 1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["offset"] for line in lines] == [r.offset for r in here.model.rows]
    here.page.table_bar.export_to(str(tmp_path / "out.csv"), "csv")
    here.qtbot.waitUntil(lambda: len(here.made.notes) == 2)
    with (tmp_path / "out.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 501
    here.page.table_bar.export_to(str(tmp_path / "no" / "folder.csv"), "csv")
    here.qtbot.waitUntil(lambda: len(here.made.notes) == 3)
    assert "was not written" in here.made.notes[2][0] and here.made.notes[2][1] == "bad"


def test_that_the_export_goes_to_the_file_that_a_dialog_returns(
    here: Page, tmp_path: Path, qapp: QApplication
) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()

    def dialogs() -> list[QFileDialog]:
        widgets = qapp.topLevelWidgets()
        return [w for w in widgets if isinstance(w, QFileDialog) and w.isVisible()]

    here.page.table_bar.choose_export_file("csv")
    here.qtbot.waitUntil(lambda: bool(dialogs()))
    (dialog,) = dialogs()
    assert dialog.selectedFiles()[0].endswith("email.csv")
    line = dialog.findChild(QLineEdit)
    assert line is not None
    line.setText(str(tmp_path / "chosen.csv"))
    dialog.accept()
    here.qtbot.waitUntil(lambda: len(here.made.notes) == 1)
    assert here.made.notes[0][1] == "ok" and (tmp_path / "chosen.csv").stat().st_size > 0


def test_that_a_record_is_sent_and_jumped_to(here: Page) -> None:
    here.page.show_target(ProduceTarget("orders-by-customer"))
    here.ended()
    form = here.page.produce
    form.key.line.setText("customer-7")
    form.value.text.setPlainText('{"total": 9007199254740993}')
    form.headers.add("trace", b"abc")
    form.partition.setCurrentIndex(3)
    here.qtbot.waitUntil(lambda: form.value.hint.text().startswith("Valid JSON"))
    here.qtbot.mouseClick(form.send, Qt.MouseButton.LeftButton)
    here.qtbot.waitUntil(lambda: "Stored in partition 2" in form.banner.sentence)
    form.banner.action_requested.emit()
    here.ended()
    record = here.page.table.current_row()
    assert record is not None
    assert (record.key, record.value) == (b"customer-7", b'{"total": 9007199254740993}')
    assert record.headers[0].value == b"abc"


def test_that_a_tombstone_is_sent_and_shown(here: Page) -> None:
    here.page.show_target(ProduceTarget("orders-by-customer"))
    here.ended()
    form = here.page.produce
    form.key.line.setText("gone")
    form.value.null.setChecked(True)
    assert "tombstone" in form.value.hint.text()
    form.send.click()
    here.qtbot.waitUntil(lambda: "Stored" in form.banner.sentence)
    form.banner.action_requested.emit()
    here.ended()
    assert here.page.table.current_row() is not None
    assert here.page.table.current_row().value is None  # type: ignore[union-attr]


def test_that_a_copy_is_edited_and_sent_again(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    record = here.model.row_at(3)
    here.page.detail.show_record(record)
    here.page.detail.resend.click()
    form = here.page.produce
    assert here.page.side.currentWidget() is form
    (copy,) = form.records()
    assert (copy.key, copy.value, copy.headers) == (record.key, record.value, record.headers)


def test_that_wrong_input_cannot_be_sent(here: Page) -> None:
    here.page.show_target(ProduceTarget("email"))
    here.ended()
    form = here.page.produce
    form.key.kind.setCurrentText("int64")
    form.key.line.setText("twelve")
    here.qtbot.waitUntil(lambda: "not a whole number" in form.key.hint.text())
    assert not form.send.isEnabled()


def test_that_pasted_lines_are_checked_and_sent(here: Page) -> None:
    here.page.show_target(ProduceTarget("email"))
    here.ended()
    form = here.page.produce
    form.modes.button(1).click()
    form.lines.form.setCurrentIndex(2)
    form.lines.text.setPlainText('{"value": "a"}\n{"value": \n')
    here.qtbot.waitUntil(lambda: "line 2" in form.lines.hint.text())
    assert not form.send.isEnabled()
    form.lines.text.setPlainText('{"key": "k", "value": "a"}\n{"key": "k", "value": {"b": 1}}\n')
    here.qtbot.waitUntil(form.send.isEnabled)
    assert form.send.text() == "Send 2 records"
    form.send.click()
    here.qtbot.waitUntil(lambda: "2 records stored" in form.banner.sentence)


def test_that_a_read_only_connection_sends_nothing(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path, read_only=True) as made:
        here = Page(made, qtbot)
        here.page.show_target(ProduceTarget("email"))
        here.ended()
        here.page.produce.value.text.setPlainText("x")
        here.page.produce.send_now()
        assert (
            not here.page.produce.send.isEnabled()
            and "read-only" in here.page.produce.banner.sentence
        )
        assert "produce" not in client.calls


def test_that_nothing_is_created_or_joined(here: Page) -> None:
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    assert set(here.made.client.calls) <= {"offsets", "open_reader", "read", "metadata"}


def damage(here: Page, count: int) -> list[Record]:
    """Let the newest records of one partition be unreadable; return the marks."""
    client = here.made.client
    assert isinstance(client, FakeClient)
    log = client.cluster.logs["email"][1]
    end = log.end_offset(client.cluster.clock())
    marks = []
    for offset in range(end - 3 * count, end, 3):
        record = log.record(offset)._replace(key=None, value=None, headers=())
        why = "Its batch is damaged: wrong checksum."
        marks.append(record._replace(unreadable=Unreadable(offset, why)))
        log.sent[offset] = marks[-1]
    log.since_s += len(marks) / log.rate_per_s  # the records that are sent count as more
    return marks


def test_that_records_which_cannot_be_read_are_marked_and_the_rest_is_shown(here: Page) -> None:
    (mark,) = damage(here, 1)
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    assert here.model.rowCount() == 500
    assert "1 offset could not be read." in here.page.progress_text.text()
    row = here.model.row_of((1, mark.offset))
    texts = [here.model.index(row, c).data() for c in range(len(here.model.columns))]
    assert f"Offset {mark.offset:,} cannot be read. Its batch is damaged" in texts[4]
    assert (texts[0], texts[3], texts[6]) == ("–", "", "–")
    here.page.table.select_key((1, mark.offset))
    assert "cannot be read" in here.page.detail.words
    assert here.model.times().size == 499  # no bar of the histogram counts it


def test_that_a_filter_keeps_what_could_not_be_read(here: Page) -> None:
    """It may hold the text."""
    marks = damage(here, 2)
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    here.page.bar.text.setText("no such text")
    here.qtbot.waitUntil(lambda: here.model.rowCount() == 2)
    assert {r.offset for r in here.model.rows} == {m.offset for m in marks}


def test_that_an_export_leaves_out_what_could_not_be_read_and_says_so(
    here: Page, tmp_path: Path
) -> None:
    damage(here, 2)
    here.page.show_target(MessagesTarget("email"))
    here.ended()
    path = tmp_path / "out.jsonl"
    here.page.table_bar.export_to(str(path), "jsonl")
    here.qtbot.waitUntil(lambda: bool(here.made.notes))
    assert len(path.read_text().splitlines()) == 498
    assert "498 records written" in here.made.notes[-1][0]
    assert "Left out: 2 places that could not be read." in here.made.notes[-1][0]
