from __future__ import annotations

import errno
import os
from pathlib import Path
from uuid import UUID

import pytest

from embedded_broker.core.log.time_lookup import first_at_or_after, latest
from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage.partition_log import INDEX_INTERVAL, DiskPartitionLog
from embedded_broker.shell.storage.recovery import LastStop, Trust
from kafka_protocol.records.batch import Codec
from kafka_protocol.records.build import NewRecord, build
from tests.unit.embedded_broker.fakes import looked_up
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed

ID = UUID(int=7)


def remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def new_log(tmp_path: Path, segment_bytes: int = 1 << 20, interval: int = 100) -> DiskPartitionLog:
    log = DiskPartitionLog.create(tmp_path / "t-0", "t", ID, 0, remove, 0)
    log.configure(segment_bytes, 10**9, interval)
    return log


def fill(log: DiskPartitionLog, count: int, first_timestamp: int = 1000, body: int = 20) -> None:
    for i in range(count):
        offset = log.log_end_offset
        data = batch(offset, 1, b"v" * body, first_timestamp + i)
        log.append(data, parsed(data), 0)


def test_that_a_read_begins_with_the_batch_of_the_offset(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    data = batch(0, 5) + batch(5, 5)
    log.append(data, parsed(data), 0)
    assert log.log_end_offset == 10
    got = parsed(log.read(7, 10**6, 10, False).tobytes())
    assert [(h.base_offset, h.last_offset) for h in got] == [(5, 9)]
    got = parsed(log.read(3, 10**6, 5, False).tobytes())
    assert [(h.base_offset, h.last_offset) for h in got] == [(0, 4)]


def test_that_a_read_ends_on_a_batch_boundary_within_max_bytes(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    fill(log, 50)
    size = 81
    for limit in (size, size + 1, 3 * size - 1, 3 * size, 49 * size, 10**6):
        got = log.read(0, limit, 50, True)
        assert len(got) == min(limit // size, 50) * size
    assert len(log.read(0, 10, 50, False)) == 0
    assert len(log.read(0, 10, 50, True)) == size
    assert len(log.read(50, 10, 50, True)) == 0


def test_that_reads_are_the_same_without_the_memory_of_recent_batches(tmp_path: Path) -> None:
    log = new_log(tmp_path, segment_bytes=3000)
    fill(log, 120)
    answers = [
        log.read(o, n, 110, True).tobytes() for o in range(0, 110, 7) for n in (0, 200, 1000)
    ]
    log.close()
    log = DiskPartitionLog.open(
        tmp_path / "t-0", "t", ID, 0, remove, Trust(LastStop.CLEAN, 120, INDEX_INTERVAL), 0, 0
    )
    assert len(log.segments()) > 3
    assert answers == [
        log.read(o, n, 110, True).tobytes() for o in range(0, 110, 7) for n in (0, 200, 1000)
    ]


def test_that_a_truncated_log_ends_at_the_boundary_before_the_offset(tmp_path: Path) -> None:
    log = new_log(tmp_path, segment_bytes=1000)
    for base in range(0, 100, 5):
        data = batch(base, 5, timestamp=base)
        log.append(data, parsed(data), 0)
    log.truncate(62)
    assert log.log_end_offset == 60
    log.truncate(20)
    assert log.log_end_offset == 20
    data = batch(20, 3, timestamp=5000)
    log.append(data, parsed(data), 0)
    assert [h.base_offset for h in log.headers(0)] == [0, 5, 10, 15, 20]
    assert log.size_bytes == sum(h.size for h in log.headers(0))
    log.truncate(0)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (0, 0, 0)


def test_that_a_slice_keeps_its_bytes_after_a_truncation(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    fill(log, 10)
    old = log.read(5, 10**6, 10, True)
    expected = old.tobytes()
    log.truncate(3)
    data = batch(3, 1, b"other" * 30)
    log.append(data, parsed(data), 0)
    assert old.tobytes() == expected
    assert log.read(3, 10**6, 4, True).tobytes() == data


def test_that_segments_roll_and_are_deleted_when_the_start_advances(tmp_path: Path) -> None:
    log = new_log(tmp_path, segment_bytes=500)
    fill(log, 60)
    kept = log.read(0, 300, 60, True)
    bases = [s.base_offset for s in log.segments()]
    assert bases == [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]
    log.advance_start(20)
    assert log.log_start_offset == 20
    assert log.segments()[0].base_offset == 18
    assert parsed(kept.tobytes())[0].base_offset == 0
    assert not list((tmp_path / "t-0").glob("*.deleted"))


def test_that_a_log_rolls_by_time(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.configure(10**9, 5000, 100)
    fill(log, 2, first_timestamp=1_000_000)
    fill(log, 1, first_timestamp=1_005_001)
    assert [s.base_offset for s in log.segments()] == [0, 2]


def test_that_a_reset_log_begins_at_the_new_offset(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    fill(log, 5)
    log.reset(1000)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (1000, 1000, 0)
    data = batch(1000, 1)
    log.append(data, parsed(data), 0)
    assert log.log_end_offset == 1001


def test_that_a_failed_write_leaves_nothing_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = new_log(tmp_path)
    fill(log, 3)
    whole = os.pwrite

    def half(fd: int, data: bytes, position: int) -> int:
        if position > 3 * 81:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(fd, bytes(data)[:30], position)

    monkeypatch.setattr(os, "pwrite", half)
    data = batch(3)
    with pytest.raises(StorageFailed, match="No space left"):
        log.append(data, parsed(data), 0)
    monkeypatch.undo()
    assert log.log_end_offset == 3
    assert (tmp_path / "t-0" / f"{0:020d}.log").stat().st_size == 3 * 81
    fill(log, 1)
    assert [h.base_offset for h in log.headers(0)] == [0, 1, 2, 3]


def test_that_the_first_record_at_or_after_a_time_is_found(tmp_path: Path) -> None:
    log = new_log(tmp_path, segment_bytes=2000)
    fill(log, 100, first_timestamp=1000)
    assert looked_up(first_at_or_after(log, 0, 100)) == (0, 1000)
    for t in (1000, 1001, 1037, 1099):
        assert looked_up(first_at_or_after(log, t, 100)) == (t - 1000, t)
    assert looked_up(first_at_or_after(log, 1100, 100)) is None
    assert looked_up(first_at_or_after(log, 1050, 40)) is None
    assert looked_up(latest(log, 100)) == (99, 1099)
    assert looked_up(latest(log, 50)) == (49, 1049)
    log.advance_start(30)
    assert looked_up(first_at_or_after(log, 0, 100)) == (30, 1030)


@pytest.mark.parametrize("codec", list(Codec))
def test_that_a_time_is_found_in_a_large_batch_a_little_at_a_time(
    tmp_path: Path, codec: Codec
) -> None:
    """To unpack 20 MB of gzip at once takes 0.1 s, in which nobody else is served."""
    log = new_log(tmp_path, segment_bytes=1 << 30)
    new = [NewRecord(None, bytes(20_000), 1000 + i) for i in range(1000)]
    data = bytes(build(new, compression=codec))
    log.append(data, parsed(data), 5000)
    lookup, steps = first_at_or_after(log, 1990, 1000), []
    while True:
        try:
            steps.append(next(lookup))
        except StopIteration as end:
            assert end.value == (990, 1990)
            break
    if codec == Codec.GZIP:
        assert len(steps) >= 19 and max(steps) <= 1024


def test_that_old_timestamps_do_not_hide_the_latest(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for timestamp in (10, 500, 20, 30, 400):
        fill(log, 1, first_timestamp=timestamp)
    assert looked_up(latest(log, 5)) == (1, 500)
    assert looked_up(first_at_or_after(log, 25, 5)) == (1, 500)
    assert looked_up(first_at_or_after(log, 501, 5)) is None


def test_that_the_two_newest_snapshots_of_producers_are_kept(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for count in (2, 3, 4):
        fill(log, count)
        log.save_producers(log.log_end_offset, b"at %d" % log.log_end_offset)
    assert log.load_producers() == [(9, b"at 9"), (5, b"at 5")]
    log.close()
    again = DiskPartitionLog.open(
        tmp_path / "t-0", "t", ID, 0, remove, Trust(LastStop.CRASHED, 0, INDEX_INTERVAL), 0, 0
    )
    assert again.load_producers() == [(9, b"at 9"), (5, b"at 5")]
    again.truncate(7)
    assert again.load_producers() == [(5, b"at 5")]
    again.save_producers(7, b"other")
    assert again.load_producers() == [(7, b"other"), (5, b"at 5")]


def test_that_epochs_are_kept_and_checked_against_the_log(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for offset, epoch in ((0, 1), (1, 1), (2, 4), (3, 4)):
        data = batch(offset, epoch=epoch)
        log.append(data, parsed(data), 0)
    log.save_epochs([(1, 0), (4, 2), (6, 4), (9, 77)])
    log.close()
    log = DiskPartitionLog.open(
        tmp_path / "t-0", "t", ID, 0, remove, Trust(LastStop.CRASHED, 0, INDEX_INTERVAL), 0, 0
    )
    assert log.load_epochs() == [(1, 0), (4, 2), (6, 4)]
    log.save_epochs([(1, 0)])
    log.close()
    log = DiskPartitionLog.open(
        tmp_path / "t-0", "t", ID, 0, remove, Trust(LastStop.CRASHED, 0, INDEX_INTERVAL), 0, 0
    )
    assert log.load_epochs() == [(1, 0), (4, 2)]
