"""Times, sizes and metadata of records, and the model that holds them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from gui.messages.metadata_view import metadata_of
from gui.messages.record_columns import CellDecoder, exact_time, key_of, local_time, size_of
from gui.messages.record_model import RecordModel
from kafka_client.model import Header, Record
from kafka_client.reading.decode import Kind


def record(offset: int, timestamp_ms: int = 0, value: bytes | None = b"v") -> Record:
    return Record("t", 0, offset, timestamp_ms or offset, "create", b"k", value)


@pytest.fixture
def model(qapp: QApplication) -> RecordModel:
    made = RecordModel(CellDecoder())
    made.tester = QAbstractItemModelTester(  # type: ignore[attr-defined]
        made, QAbstractItemModelTester.FailureReportingMode.Fatal, made
    )
    return made


def offsets(model: RecordModel) -> list[int]:
    return [r.offset for r in model.rows]


def test_that_a_batch_in_between_is_sorted_in(model: RecordModel) -> None:
    model.add([record(1), record(2), record(9)])
    assert offsets(model) == [9, 2, 1]
    assert model.add([record(12)]) == 1, "one row above"
    model.add([record(5)])
    assert offsets(model) == [12, 9, 5, 2, 1]


def test_that_the_oldest_arrivals_are_evicted_beyond_the_limits(model: RecordModel) -> None:
    model.set_limits(3, 1 << 20)
    model.add([record(n) for n in range(5)])
    assert offsets(model) == [4, 3, 2] and model.evicted == 2
    model.set_limits(100, 4)
    model.add([record(9, value=b"x" * 100)])
    assert offsets(model) == [9] and model.kept_bytes == 101, "the last stays, however large"


def test_that_rows_are_found_by_their_key_in_either_direction(model: RecordModel) -> None:
    model.add([record(n) for n in range(4)])
    for order in (Qt.SortOrder.DescendingOrder, Qt.SortOrder.AscendingOrder):
        model.sort(0, order)
        for index in range(4):
            assert model.row_of(key_of(model.row_at(index))) == index
    assert model.row_of((0, 99)) == -1


def test_that_a_time_range_hides_the_rest_and_the_histogram_still_counts_it(
    model: RecordModel,
) -> None:
    model.add([record(n) for n in range(1, 6)])
    model.set_range((2, 4))
    assert offsets(model) == [3, 2] and model.times().tolist() == [1, 2, 3, 4, 5]


def test_that_records_filtered_elsewhere_are_joined_with_newer_ones(model: RecordModel) -> None:
    model.add([record(1), record(2), record(3)])
    model.set_matches(lambda r: r.offset != 2, [record(1)], seen=2)
    assert offsets(model) == [3, 1]


def test_that_another_decoder_reads_the_cells_anew(model: RecordModel) -> None:
    model.add([record(1, value=b"{}")])
    column = model.column_of("value")
    assert model.data(model.index(0, column)) == "{}"
    model.decode_as(Kind.GUESS, Kind.HEX)
    assert model.data(model.index(0, column)) == "7b 7d"


@pytest.mark.parametrize("timestamp_ms", [-(2**63), 2**63 - 1])
def test_that_impossible_timestamps_are_shown_as_numbers(timestamp_ms: int) -> None:
    assert str(timestamp_ms) in local_time(timestamp_ms)
    assert exact_time(timestamp_ms) == f"{timestamp_ms} ms since the epoch"


def test_that_the_size_counts_key_value_and_headers() -> None:
    one = Record("t", 0, 0, 0, "none", b"ab", None, (Header("h", b"123"), Header("x", None)))
    assert size_of(one) == 2 + 4 + 1
    metadata = metadata_of(one)
    assert metadata["Value"] == "null" and metadata["Key"] == "2 bytes"
    assert metadata["Total size"] == "7 bytes" and metadata["Leader epoch"] == "–"
    assert metadata_of(record(1, -1))["Timestamp"] == "none"
