"""Check what a log knows of its epochs and of its producers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from embedded_broker.core.log import producers
from embedded_broker.core.log.epochs import EpochCache
from embedded_broker.core.log.producers import MAX_INT, ProducerStates
from embedded_broker.simulator import batches
from embedded_broker.simulator.disk import Platter, SimDisk
from embedded_broker.simulator.log import SimLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import BatchHeader, place, read_header


@pytest.fixture
def log() -> SimLog:
    found = SimDisk(Platter(UUID(int=1))).create_log("t", UUID(int=2), 0)
    assert isinstance(found, SimLog)
    return found


def append(
    log: SimLog, epoch: int = 0, count: int = 1, producer: tuple[int, int, int] = (-1, -1, -1)
) -> BatchHeader:
    data = batches.build([(None, b"x")] * count, 1000, *producer)
    place(data, 0, log.log_end_offset, epoch)
    header = read_header(data)
    log.append(data, [header], 0)
    return header


def test_that_an_epoch_ends_where_the_next_begins(log: SimLog) -> None:
    append(log, 1, 10)
    cache = EpochCache(log)
    cache.assign(3, 10)
    append(log, 3, 5)
    cache.assign(7, 15)
    assert cache.entries == [(1, 0), (3, 10), (7, 15)]
    assert cache.end_offset_for(1, 20) == (1, 10)
    assert cache.end_offset_for(2, 20) == (1, 10)
    assert cache.end_offset_for(3, 20) == (3, 15)
    assert cache.end_offset_for(6, 20) == (3, 15)
    assert cache.end_offset_for(7, 20) == (7, 20)
    assert cache.end_offset_for(8, 20) == (-1, -1)
    assert cache.end_offset_for(0, 20) == (0, 0)
    assert [cache.epoch_at(offset) for offset in (0, 9, 10, 15, 99)] == [1, 1, 3, 7, 7]


def test_that_epochs_follow_the_ends_of_the_log(log: SimLog) -> None:
    append(log, 1, 30)
    cache = EpochCache(log)
    cache.assign(3, 10)
    cache.assign(7, 15)
    cache.truncate_from_end(15)
    assert cache.entries == [(1, 0), (3, 10)]
    cache.truncate_from_start(12)
    assert cache.entries == [(3, 12)]
    cache.truncate_from_start(20)
    assert cache.entries == [(3, 20)]


def test_that_a_leader_that_wrote_nothing_leaves_no_epoch_behind(log: SimLog) -> None:
    append(log, 1, 10)
    cache = EpochCache(log)
    cache.assign(5, 10)
    cache.assign(6, 10)
    assert cache.entries == [(1, 0), (6, 10)]
    again = EpochCache(log)
    assert again.entries == [(1, 0)]
    assert again.newest_known == 6


def test_that_epochs_are_read_from_the_log_when_their_file_is_gone(log: SimLog) -> None:
    append(log, 1, 10)
    append(log, 4, 10)
    log.save_epochs([])
    assert EpochCache(log).entries == [(1, 0), (4, 10)]


def batch(sequence: int, count: int = 1, epoch: int = 0, producer_id: int = 9) -> BatchHeader:
    return read_header(batches.build([(None, b"x")] * count, 1000, producer_id, epoch, sequence))


def test_that_the_last_five_batches_are_known_again(log: SimLog) -> None:
    append(log)
    states = ProducerStates(log)
    assert states.load(10)
    for sequence in range(7):
        assert states.check(batch(sequence)) == (0, -1, -1)
        states.appended(batch(sequence), 100 + sequence)
    assert [states.check(batch(sequence))[1] for sequence in range(2, 7)] == [
        102,
        103,
        104,
        105,
        106,
    ]
    assert states.check(batch(1))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert states.check(batch(8))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert states.check(batch(6, count=2))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_that_sequences_begin_again_after_the_largest(log: SimLog) -> None:
    states = ProducerStates(log)
    states.appended(batch(MAX_INT - 1, count=4), 0)
    assert states.check(batch(2)) == (0, -1, -1)
    assert states.check(batch(MAX_INT - 1, count=4))[1] == 0


def test_that_epochs_fence_producers(log: SimLog) -> None:
    states = ProducerStates(log)
    states.appended(batch(5, epoch=3), 0)
    assert states.check(batch(6, epoch=2))[0] == ErrorCode.INVALID_PRODUCER_EPOCH
    assert states.check(batch(6, epoch=4))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert states.check(batch(0, epoch=4))[0] == 0


def test_that_an_unknown_producer_may_begin_anywhere(log: SimLog) -> None:
    assert ProducerStates(log).check(batch(77)) == (0, -1, -1)


def test_that_producers_are_read_back_from_the_log(log: SimLog) -> None:
    for sequence in range(3):
        append(log, producer=(9, 0, sequence))
    states = ProducerStates(log)
    assert not states.load(2)
    states.appended(batch(3), 3)  # it is in the log before the load gets there
    append(log, producer=(9, 0, 3))
    assert states.load(2)
    assert states.check(batch(1))[1] == 1
    assert states.check(batch(3))[1] == 3
    log.truncate(2)
    states.forget()
    assert states.load(2)
    assert states.check(batch(2)) == (0, -1, -1)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers, "SNAPSHOT_EVERY", 3)


def saved(log: SimLog) -> ProducerStates:
    """The producers of a log of six batches, with a snapshot after five of them."""
    states = ProducerStates(log)
    for sequence in range(6):
        append(log, 2, producer=(9, 0, sequence))
        states.appended(batch(sequence), sequence)
        if sequence == 4:
            states.save(2)
    return states


def test_that_only_what_follows_a_snapshot_is_read(log: SimLog, often: None) -> None:
    saved(log)
    states = ProducerStates(log)
    assert states.load(1)
    assert [states.check(batch(sequence))[1] for sequence in range(1, 6)] == [1, 2, 3, 4, 5]
    assert states.check(batch(0))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def damage(log: SimLog) -> None:
    offset, data = log.load_producers()[0]
    log.save_producers(offset, data[:-1] + b"?")


def tear(log: SimLog) -> None:
    offset, data = log.load_producers()[0]
    log.save_producers(offset, data[:5])


def write_other_records(log: SimLog) -> None:
    """As another leader, after a truncation or a power cut."""
    log.truncate(3)
    for sequence in range(3):
        append(log, 3, producer=(10, 0, sequence))


def delete_records(log: SimLog) -> None:
    log.advance_start(5)


@pytest.mark.parametrize("change", [damage, tear, write_other_records, delete_records])
def test_that_a_snapshot_that_does_not_fit_the_log_is_not_believed(
    log: SimLog, often: None, change: Callable[[SimLog], None]
) -> None:
    saved(log)
    change(log)
    states, read = ProducerStates(log), ProducerStates(log)
    assert states.load(10)
    log._producers.clear()
    assert read.load(10)
    for producer_id in (9, 10):
        for sequence in range(8):
            probe = batch(sequence, producer_id=producer_id)
            assert states.check(probe) == read.check(probe)


def test_that_batches_behind_a_refused_one_wait_for_it(log: SimLog) -> None:
    """As gaps in the sequence they would let librdkafka send everything again in a new epoch."""
    for sequence in range(3):
        append(log, producer=(9, 0, sequence))
    states = ProducerStates(log)
    assert not states.load(1)
    for producer_id in (9, 10):  # one that the log has, and one that it has not
        for sequence in (3, 4):
            states.refused(batch(sequence, producer_id=producer_id))
    assert states.load(10)
    for producer_id in (9, 10):
        for sequence in (4, 5):
            waits = states.check(batch(sequence, producer_id=producer_id))
            assert waits == (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1, -1)
        first = batch(3, producer_id=producer_id)
        assert states.check(first) == (0, -1, -1)
        states.appended(first, 3)
        assert states.check(batch(4, producer_id=producer_id)) == (0, -1, -1)
        gap = states.check(batch(6, producer_id=producer_id))
        assert gap[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_that_idle_producers_are_forgotten(log: SimLog) -> None:
    states = ProducerStates(log)
    states.appended(batch(0), 0)
    states.expire(1000)
    assert len(states) == 1
    states.expire(1001)
    assert len(states) == 0


def test_that_of_many_producers_those_that_wrote_last_are_known(
    log: SimLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "PRODUCERS_MOST", 3)
    states = ProducerStates(log)
    for producer_id in (1, 2, 3):
        states.appended(batch(0, producer_id=producer_id), producer_id)
    states.appended(batch(1, producer_id=1), 4)
    for producer_id in range(10, 12):
        states.appended(batch(0, producer_id=producer_id), producer_id)
    assert len(states) == 3
    assert [states.newest(producer_id) for producer_id in (1, 2, 3, 11)] == [
        (0, 1),
        None,
        None,
        (0, 0),
    ]


def test_that_few_of_many_refused_producers_are_remembered(
    log: SimLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "PRODUCERS_MOST", 3)
    append(log, producer=(9, 0, 0))
    states = ProducerStates(log)
    for producer_id in range(20, 40):
        states.refused(batch(0, producer_id=producer_id))
    assert len(states._refused) == 3
    assert states.load(10)
    assert states.check(batch(1, producer_id=20))[0] == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert states.check(batch(1, producer_id=39))[0] == ErrorCode.NONE
