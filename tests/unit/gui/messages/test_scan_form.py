"""What a person types to read: partitions, numbers, and the request that comes of it."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from gui.messages.partitions import partition_list
from gui.messages.scan_bar import ScanBar
from gui.messages.scan_fields import LARGEST, number_edit, read_number
from gui.messages.scan_text import empty_words, outcome_text, progress_text
from kafka_client.model import ClusterSnapshot, Partition, Topic
from kafka_client.reading.filters import Contains
from kafka_client.reading.plan import Order, ScanRequest, Start, Until
from kafka_client.reading.scan import Progress
from widgets.theme import Theme


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", (0, 1, 2, 3)),
        ("All 4 partitions", (0, 1, 2, 3)),
        ("2", (2,)),
        ("0, 2-3", (0, 2, 3)),
        ("3 0;0", (0, 3)),
        ("1 - 2", (1, 2)),
    ],
)
def test_that_partitions_are_read_as_people_write_them(text: str, chosen: tuple[int, ...]) -> None:
    assert partition_list(text, 4) == chosen


@pytest.mark.parametrize("text", ["4", "2-9", "3-1", "1,x", "-1", "9999999999"])
def test_that_wrong_partitions_are_explained(text: str) -> None:
    message = partition_list(text, 4)
    assert isinstance(message, str) and message.startswith("Partitions:")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("1,234", 1234),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), None),
        ("", None),
        ("-1", None),
        ("١٢", None),
    ],
)
def test_that_numbers_are_whole_and_fit_an_offset(
    qtbot: QtBot, text: str, number: int | None
) -> None:
    holder = ScanBar(Theme())
    qtbot.addWidget(holder)
    edit = number_edit(holder, 0, "First offset")
    edit.setText(text)
    assert read_number(edit) == number


@pytest.fixture
def bar(qtbot: QtBot) -> ScanBar:
    made = ScanBar(Theme())
    qtbot.addWidget(made)
    partitions = tuple(Partition("email", n, 1, 0, (1,), (1,)) for n in range(3))
    made.set_snapshot(ClusterSnapshot(topics={"email": Topic("email", partitions=partitions)}))
    made.set_topic("email")
    return made


def test_that_the_form_makes_the_request_it_shows(bar: ScanBar) -> None:
    bar.set_start(Start.OFFSET, 70)
    bar.set_until(Until.COUNT, 20)
    bar.partitions.setEditText("1")
    bar.text.setText("invoice")
    request = bar.request(Order.TIME)
    assert isinstance(request, ScanRequest)
    assert (request.partitions, request.start, request.start_at) == ((1,), Start.OFFSET, 70)
    assert (request.until, request.until_at) == (Until.COUNT, 20)
    assert request.contains == Contains("invoice")


def test_that_a_wrong_number_is_named_by_its_field(bar: ScanBar) -> None:
    bar.set_start(Start.LATEST)
    bar.start_count.setText("0")
    message = bar.request(Order.TIME)
    assert message == "How many of the latest: “0” is not a valid number."
    bar.set_topic("gone")
    assert bar.request(Order.TIME) == "There is no topic gone."


def test_that_a_live_tail_has_no_end_to_choose(bar: ScanBar) -> None:
    bar.set_start(Start.LIVE)
    assert bar.chosen_until is Until.ENDLESS and not bar.until.isEnabled()


def test_that_progress_and_outcome_count_in_words() -> None:
    request = ScanRequest("t", (0,), Start.EARLIEST, 0, Until.NOW, 0, Order.TIME, Contains("x"))
    progress = Progress(scanned=1, matched=1, scanned_bytes=0, records_per_s=5.0, fraction=0.5)
    assert progress_text(progress, request, 0).startswith("1 record read  ·  1 match")
    assert "oldest 2 records removed" in progress_text(progress, request, 2)
    assert outcome_text(None, request, 1, 0) == "Stopped with 1 record loaded."


def test_that_a_table_without_records_says_what_to_do_next() -> None:
    matching = ScanRequest("t", (0,), Start.EARLIEST, 0, Until.NOW, 0, Order.TIME, Contains("x"))
    live = ScanRequest("t", (0,), Start.LIVE, 0, Until.ENDLESS, 0, Order.TIME, None)
    range_ = ScanRequest("t", (0,), Start.OFFSET, 9, Until.NOW, 0, Order.TIME, None)
    titles = [empty_words(request)[1] for request in (matching, live, range_)]
    assert titles == ["No record matches", "No new records", "No records in this range"]
    assert "“x”" in empty_words(matching)[2] and "Live" in empty_words(range_)[2]
