import logging
from types import SimpleNamespace

import pytest

from kafka_client import librdkafka
from kafka_client.confluent_data import _Delivery
from kafka_client.errors import ClientError, Rejected, TimedOut
from kafka_client.model import NewRecord


def test_that_librdkafkas_log_is_one_safe_line_a_second(monkeypatch, caplog):
    logger = logging.getLogger("test.librdkafka")  # the program's has counted lines of other tests
    logger.addFilter(librdkafka.OneLineASecond())
    caplog.set_level(logging.INFO, logger.name)
    now = [1000.0]
    monkeypatch.setattr("kafka_client.librdkafka.time.monotonic", lambda: now[0])
    logger.warning("%s: broker down\n\x1b[31m", "FAIL")
    for _ in range(7):
        logger.warning("broker down")
    now[0] += 2
    logger.warning("x" * 1000)
    first, second = [record.getMessage() for record in caplog.records]
    assert first == "FAIL: broker down  [31m"
    assert second.endswith("… (7 more lines left out)") and len(second) < 400


def test_that_the_program_filters_librdkafkas_log():
    kinds = [type(filter_) for filter_ in librdkafka.logger.filters]
    assert kinds == [librdkafka.OneLineASecond]


def error(code, text="text"):
    return SimpleNamespace(code=lambda: code, str=lambda: text)


def stored(partition, offset):
    return SimpleNamespace(partition=lambda: partition, offset=lambda: offset)


def test_that_a_send_reports_where_each_record_went_in_their_order():
    delivery = _Delivery([NewRecord("t", None, b"1"), NewRecord("t", None, b"2")])
    delivery.callback(1)(None, stored(2, None))
    assert not delivery.done
    delivery.callback(0)(None, stored(0, 17))
    assert delivery.done and delivery.places() == [(0, 17), (2, -1)]


def test_that_a_send_fails_with_the_first_error_and_the_number_that_went():
    delivery = _Delivery([NewRecord("t", None, b"")] * 3)
    delivery.callback(0)(None, stored(0, 1))
    delivery.fail(2, error(29))
    delivery.fail(1, error(3))
    assert delivery.done
    with pytest.raises(ClientError, match="Cannot send to topic t") as failed:
        delivery.places()
    assert isinstance(failed.value, Rejected) and failed.value.code == 3
    assert failed.value.detail.startswith("1 of 3 records was sent.")


def test_that_records_without_an_acknowledgement_are_counted():
    delivery = _Delivery([NewRecord("t", None, b"")] * 2)
    delivery.callback(0)(None, stored(0, 1))
    with pytest.raises(TimedOut, match=r"^1 of 2 records was not acknowledged in time\.$"):
        delivery.places()
