"""A log whose disk fails halfway, or gives back other bytes than it was given."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from embedded_broker.core.ports import LogDamaged, StorageFailed
from embedded_broker.shell.storage import checking, segment
from embedded_broker.shell.storage.disk import LogDirectory
from kafka_protocol.records.batch import BatchHeader, batches
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed
from tests.unit.embedded_broker.shell.storage.directory import (
    COUNT,
    ID,
    files_of,
    fill,
    flush,
    log_of,
    opened,
    without_folder,
    without_oldest,
)


class NoDescriptors:
    """Lets ``os.open`` fail after a number of further calls."""

    def __init__(self, patch: pytest.MonkeyPatch, after: int) -> None:
        self._open, self._left = os.open, after
        patch.setattr(os, "open", self)

    def __call__(self, *args: object, **kwargs: object) -> int:
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._open(*args, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("offset", [0, 6, 30, COUNT + 40])
@pytest.mark.parametrize("after", range(4))
def test_that_a_log_which_cannot_be_emptied_goes_on_as_it_was_or_empty(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch, offset: int, after: int
) -> None:
    log = log_of(disk)
    queued: list[Callable[[], None]] = []
    disk.background = queued.append
    with monkeypatch.context() as patch:
        NoDescriptors(patch, after)
        with suppress(StorageFailed):
            log.reset(offset)
    bounds = log.log_start_offset, log.log_end_offset
    assert bounds in ((0, COUNT), (offset, offset))
    end = bounds[1]
    data = batch(end, epoch=4)
    log.append(data, parsed(data), 0)
    disk.close(clean=True)
    again = log_of(opened(path))
    assert again.log_end_offset == end + 1
    assert again.read(end, 1000, end + 1, True).tobytes() == data


@pytest.mark.parametrize("after", range(4))
def test_that_a_segment_which_cannot_be_rolled_takes_further_batches(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    log = log_of(disk)
    written = COUNT
    with monkeypatch.context() as patch:
        NoDescriptors(patch, after)
        for _ in range(20):
            data = batch(written, epoch=4)
            try:
                log.append(data, parsed(data), 0)
            except StorageFailed:
                break
            written += 1
    for _ in range(20):
        data = batch(written, epoch=4)
        log.append(data, parsed(data), 0)
        written += 1
    disk.close(clean=True)
    again = log_of(opened(path))
    assert [h.base_offset for h in again.headers(0)] == list(range(written))


def test_that_a_start_without_descriptors_sets_nothing_aside(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.close(clean=True)
    for after in range(12):
        with monkeypatch.context() as patch:
            NoDescriptors(patch, after)
            with pytest.raises(Exception) as failed:
                opened(path)
        assert "descriptor" in str(failed.value) or "Too many open files" in str(failed.value)
        assert not list(path.glob("*-stray"))
    again = opened(path)
    assert log_of(again).log_end_offset == COUNT
    again.close(clean=True)


def test_that_a_file_which_is_replaced_is_copied_whole(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(disk)
    end = log._active.base_offset + 2
    before = log.read(end - 2, 10**6, end, True).tobytes()
    in_flight = log.read(end - 2, 10**6, COUNT, True)
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(data)[:7], at))
    log.truncate(end)
    monkeypatch.undo()
    assert len(in_flight) > len(before)
    assert log.read(end - 2, 10**6, end, True).tobytes() == before
    disk.close(clean=True)
    again = opened(path)
    assert log_of(again).log_end_offset == end and not log_of(again).was_corrupt
    again.close(clean=True)


# ---- damage away from the end
def flip(file: Path, position: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[position] ^= 1
    file.write_bytes(raw)


FIELDS = {"base offset": 7, "length": 11, "epoch": 15, "checksum": 18, "body": 70}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("number", [0, 2])
def test_that_a_changed_bit_of_an_old_segment_is_met_by_its_first_reader(
    path: Path, disk: LogDirectory, field: str, number: int
) -> None:
    disk.close(clean=True)
    file = files_of(path)[2]
    damaged = parsed(file.read_bytes())[number]
    flip(file, damaged.position + FIELDS[field])
    again = opened(path)
    log = log_of(again)
    at = 0
    with pytest.raises(LogDamaged):
        while at < COUNT:
            for header in parsed(log.read(at, 10**6, COUNT, True).tobytes()):
                assert header.base_offset == at
                at = header.next_offset
    # All before it is served. A wrong epoch is met at the batch after it at the latest.
    assert damaged.base_offset <= at <= damaged.base_offset + (field == "epoch")
    assert log.damage
    again.close(clean=True)


def test_that_a_read_is_checked_only_once(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.close(clean=True)
    again = opened(path)
    log = log_of(again)
    checked: list[int] = []
    whole = checking.whole_batches

    def counted(file: object, start: int, *rest: int) -> object:
        checked.append(start)
        return whole(file, start, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(segment, "whole_batches", counted)

    def read_all() -> None:
        at = 0
        while at < COUNT:
            for header in parsed(log.read(at, 200, COUNT, True).tobytes()):
                at = header.next_offset

    read_all()
    assert checked
    checked.clear()
    read_all()
    assert not checked
    again.close(clean=True)


def test_that_one_read_checks_a_bounded_number_of_batches(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.close(clean=True)
    monkeypatch.setattr(segment, "CHECK_BATCHES", 2)
    again = opened(path)
    log = log_of(again)
    at, most = 0, 0
    while at < COUNT // 2:
        read = parsed(log.read(at, 10**6, COUNT, True).tobytes())
        at, most = read[-1].next_offset, max(most, len(read))
    assert most == 2
    again.close(clean=True)


def test_that_what_follows_a_hole_is_kept_aside(path: Path, disk: LogDirectory) -> None:
    disk.close(clean=True)
    after = [file.read_bytes() for file in files_of(path)[4:]]
    base = int(files_of(path)[3].stem)
    files_of(path)[3].unlink()
    again = opened(path)
    assert log_of(again).log_end_offset == base
    (stray,) = path.glob("t-0.*-stray")
    assert [file.read_bytes() for file in sorted(stray.glob("*.log"))] == after
    again.close(clean=True)


def test_that_a_missing_beginning_is_damage_that_a_reader_does_not_meet(
    path: Path, disk: LogDirectory
) -> None:
    disk.close(clean=True)
    without_oldest(path)
    again = opened(path)
    log = log_of(again)
    assert log.damage == f"the records from 0 to {log.log_start_offset - 1} are missing"
    assert any(log.damage in note for note in again.recovery_notes())
    again.close(clean=True)


@pytest.mark.parametrize("lost", ["gone", "empty", "no text"])
def test_that_a_lost_checkpoint_of_starts_does_not_damage_logs_that_retention_cut(
    path: Path, disk: LogDirectory, lost: str
) -> None:
    """Of a topic with one replica nothing could be fetched anew."""
    start = int(files_of(path)[2].stem)
    log_of(disk).advance_start(start)
    disk.checkpoint()
    disk.registered()
    disk.close(clean=True)
    file = path / "log-start-offset-checkpoint"
    if lost == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if lost == "empty" else b"\xff\xfe")
    again = opened(path)
    log = log_of(again)
    assert (log.damage, log.log_start_offset, log.log_end_offset) == ("", start, COUNT)
    # Nobody can tell any more whether a segment is missing at the front.
    assert log.lost_records and not again.was_clean
    again.close(clean=False)
    # The file is there again: from now on a missing beginning is damage.
    without_oldest(path)
    once_more = opened(path)
    assert log_of(once_more).damage
    once_more.close(clean=True)


@pytest.mark.parametrize("number", range(3))
def test_that_the_metadata_log_is_read_whole_at_each_start(path: Path, number: int) -> None:
    disk = opened(path)
    fill(disk, "__cluster_metadata")
    disk.registered()
    flush(disk)
    disk.close(clean=True)
    file = sorted((path / "__cluster_metadata-0").glob("*.log"))[2 * number]
    damaged = parsed(file.read_bytes())[1]
    flip(file, damaged.position + 70)
    again = opened(path)
    log = log_of(again, "__cluster_metadata")
    assert log.log_end_offset == damaged.base_offset
    assert log.lost_records and not again.was_clean
    # What was cut off can still be looked into.
    kept = [f for f in path.glob("__cluster_metadata-0.*-stray/*.log") if f.name == file.name]
    assert [f.stat().st_size for f in kept] == [sum(h.size for h in parsed_loosely(kept[0]))]
    again.close(clean=True)


def parsed_loosely(file: Path) -> list[BatchHeader]:
    return list(batches(file.read_bytes(), check_crc=False))


@pytest.mark.parametrize("lose", [without_oldest, without_folder])
def test_that_a_metadata_log_without_its_beginning_starts_anew_and_says_so(
    path: Path, lose: Callable[[Path], None]
) -> None:
    disk = opened(path)
    fill(disk, "__cluster_metadata")
    disk.registered()
    flush(disk)
    disk.close(clean=True)
    (path / "__cluster_metadata-0").rename(path / "t-0")
    lose(path)
    if (path / "t-0").exists():
        (path / "t-0").rename(path / "__cluster_metadata-0")
    again = opened(path)
    assert not again.was_clean and again.recovery_notes()
    log = again.create_log("__cluster_metadata", ID, 0)
    assert log.lost_records and log.log_end_offset == 0
    again.close(clean=True)
