"""Check what a simulated disk keeps and loses in kills and power cuts."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from embedded_broker.core.log.time_lookup import first_at_or_after, latest
from embedded_broker.core.ports import StorageFailed
from embedded_broker.simulator.batches import build, records
from embedded_broker.simulator.disk import Platter, SimDisk
from embedded_broker.simulator.log import SimLog
from kafka_protocol.records.batch import batches, place
from tests.unit.embedded_broker.fakes import looked_up

ID = UUID(int=7)


def batch(offset: int, epoch: int, count: int = 1, timestamp: int = 1_000) -> bytearray:
    data = build([(None, b"v%d" % (offset + i)) for i in range(count)], timestamp)
    place(data, 0, offset, epoch)
    return data


def put(log: SimLog, offset: int, epoch: int, count: int = 1, timestamp: int = 1_000) -> None:
    data = batch(offset, epoch, count, timestamp)
    log.append(data, list(batches(data)), timestamp)


def fresh() -> tuple[Platter, SimLog]:
    platter = Platter(UUID(int=1))
    return platter, SimDisk(platter).create_log("t", ID, 0)


def test_that_a_built_batch_reads_back() -> None:
    data = batch(40, 3, count=2)
    assert [(r.offset, r.value) for r in records(bytes(data))] == [(40, b"v40"), (41, b"v41")]
    assert [(h.base_offset, h.next_offset, h.leader_epoch) for h in batches(data)] == [(40, 42, 3)]


def test_that_a_read_returns_whole_batches_below_the_end() -> None:
    _, log = fresh()
    put(log, 0, 0, count=3)
    put(log, 3, 0, count=2)
    put(log, 5, 1)
    assert [r.offset for r in records(log.read(1, 1 << 20, 6, True).tobytes())] == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]
    assert [r.offset for r in records(log.read(0, 1 << 20, 4, True).tobytes())] == [0, 1, 2]
    assert len(log.read(3, 1, 6, False)) == 0
    assert [r.offset for r in records(log.read(4, 1, 6, True).tobytes())] == [3, 4]


def test_that_a_truncation_inside_a_batch_cuts_all_of_it() -> None:
    _, log = fresh()
    put(log, 0, 0, count=3)
    put(log, 3, 0, count=3)
    log.truncate(4)
    assert log.log_end_offset == 3
    put(log, 3, 2)
    assert [h.leader_epoch for h in log.headers(0)] == [0, 2]


def test_that_a_kill_keeps_everything() -> None:
    platter, log = fresh()
    put(log, 0, 0)
    log.save_epochs([(0, 0)])
    assert platter.process_ended(random.Random(1), power=False) == 0
    again = SimDisk(platter)
    (found,) = again.logs()
    assert found.log_end_offset == 1 and found.load_epochs() == [(0, 0)]


@pytest.mark.parametrize("seed", range(40))
def test_that_a_power_cut_keeps_what_was_flushed_and_a_prefix_of_the_rest(seed: int) -> None:
    platter, log = fresh()
    for offset in range(4):
        put(log, offset, 0)
    log.make_durable()
    for offset in range(4, 9):
        put(log, offset, 1)
    log.save_epochs([(0, 0), (1, 4)])
    platter.process_ended(random.Random(seed), power=True)
    assert 4 <= log.log_end_offset <= 9
    assert [h.base_offset for h in log.headers(0)] == list(range(log.log_end_offset))
    assert log.log_end_offset == 4 or (1, 4) in log.load_epochs()
    for (_, start), (_, following) in zip(log.load_epochs(), log.load_epochs()[1:], strict=False):
        assert start < following


def test_that_a_flush_covers_what_was_written_when_it_began() -> None:
    platter, log = fresh()
    put(log, 0, 0)
    mark = log.begin_flush()
    put(log, 1, 0)
    log.truncate(0)
    put(log, 0, 5)
    log.end_flush(mark)
    ends = set()
    for seed in range(60):
        rng = random.Random(seed)
        trial, other = fresh()
        put(other, 0, 5)
        trial.process_ended(rng, power=True)
        ends.add(other.log_end_offset)
    assert ends == {0, 1}
    platter.process_ended(random.Random(3), power=False)
    assert [h.leader_epoch for h in log.headers(0)] == [5]


def test_that_unclean_stays_until_a_registration_is_committed() -> None:
    platter, _ = fresh()
    first = SimDisk(platter)
    first.registered()
    platter.process_ended(random.Random(1), power=False)
    assert SimDisk(platter).was_clean
    platter.process_ended(random.Random(1), power=True)
    assert not SimDisk(platter).was_clean
    platter.process_ended(random.Random(1), power=False)
    second = SimDisk(platter)
    assert not second.was_clean
    second.registered()
    platter.process_ended(random.Random(1), power=False)
    assert SimDisk(platter).was_clean


def test_that_segments_before_the_log_start_are_deleted() -> None:
    _, log = fresh()
    for offset in range(6):
        put(log, offset, 0, timestamp=1_000 + offset)
        if offset % 2:
            log.roll()
    log.advance_start(3)
    assert log.log_start_offset == 3
    assert next(log.headers(0)).base_offset == 2
    assert [s.base_offset for s in log.segments()] == [2, 4, 6]
    assert looked_up(first_at_or_after(log, 0, 6)) == (3, 1_003)
    assert looked_up(latest(log, 5)) == (4, 1_004)


def test_that_a_full_disk_refuses_appends() -> None:
    platter, log = fresh()
    platter.full = True
    with pytest.raises(StorageFailed, match="no space left"):
        put(log, 0, 0)
    assert log.log_end_offset == 0
