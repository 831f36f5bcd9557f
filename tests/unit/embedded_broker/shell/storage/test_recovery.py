from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_broker.shell.storage.partition_log import INDEX_INTERVAL, DiskPartitionLog
from embedded_broker.shell.storage.recovery import LastStop, Trust
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed

ID = UUID(int=7)


def remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def written(folder: Path, sizes: list[int], segment_bytes: int) -> bytes:
    """A log of one batch of each body size, not closed cleanly; returns its bytes."""
    log = DiskPartitionLog.create(folder, "t", ID, 0, remove, 0)
    log.configure(segment_bytes, 10**9, 150)
    everything = bytearray()
    for i, size in enumerate(sizes):
        data = batch(log.log_end_offset, 1 + i % 3, bytes([i % 256]) * size, 1000 + 7 * i)
        log.append(data, parsed(data), 0)
        everything += data
    for segment in log._segments:
        segment.file.close()
        segment.offsets.release()
        segment.times.release()
    return bytes(everything)


def recovered(folder: Path, last_stop: LastStop) -> DiskPartitionLog:
    return DiskPartitionLog.open(
        folder, "t", ID, 0, remove, Trust(last_stop, 0, INDEX_INTERVAL), 0, 0
    )


def contents(log: DiskPartitionLog) -> bytes:
    return b"".join(s.path.read_bytes() for s in log._segments)


def check_against_full_scan(log: DiskPartitionLog) -> None:
    for segment in log._segments:
        headers = list(segment.headers(0))
        assert (headers[-1].next_offset if headers else segment.base_offset) == segment.next_offset
        for header in headers:
            for offset in range(header.base_offset, header.next_offset):
                assert segment.position_of(offset) == header.position
            assert segment.boundary(0, header.position) == header.position
            assert segment.boundary(0, header.position + header.size - 1) == header.position
        latest = max((h.max_timestamp for h in headers), default=-1)
        assert segment.max_timestamp == latest
        assert segment.path.stat().st_size == segment.size


def check_prefix(log: DiskPartitionLog, everything: bytes) -> bytes:
    data = contents(log)
    assert everything.startswith(data)
    expected = 0
    for header in parsed(data):
        assert header.base_offset == expected
        expected = header.next_offset
    assert log.log_end_offset == expected
    return data


def test_that_a_log_cut_at_any_byte_recovers_to_its_last_whole_batch(tmp_path: Path) -> None:
    sizes = [5, 90, 1, 200, 33, 150, 70]
    everything = written(tmp_path / "t-0", sizes, 10**6)
    ends = [0]
    for header in parsed(everything):
        ends.append(header.position + header.size)
    for cut in range(len(everything) + 1):
        folder = tmp_path / "cut"
        shutil.copytree(tmp_path / "t-0", folder)
        with open(folder / f"{0:020d}.log", "r+b") as f:
            f.truncate(cut)
        for last_stop in (LastStop.KILLED, LastStop.CRASHED):
            log = recovered(folder, last_stop)
            assert len(check_prefix(log, everything)) == max(e for e in ends if e <= cut)
            check_against_full_scan(log)
            for segment in log._segments:
                segment.close()
        shutil.rmtree(folder)


@settings(max_examples=60, deadline=None)
@given(
    st.data(), st.lists(st.integers(0, 300), min_size=1, max_size=25), st.sampled_from([400, 10**6])
)
def test_that_flipped_bits_leave_a_prefix_of_the_log(
    data: st.DataObject, sizes: list[int], segment: int
) -> None:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name) / "t-0"
        everything = written(folder, sizes, segment)
        paths = sorted(folder.glob("*.log"))
        path = data.draw(st.sampled_from(paths))
        raw = bytearray(path.read_bytes())
        if raw:
            place = data.draw(st.integers(0, len(raw) - 1))
            if 12 <= place % len(raw) < 16 or raw[place : place + 1] == b"":
                place = len(raw) - 1
            raw[place] ^= 1 << data.draw(st.integers(0, 7))
            path.write_bytes(raw)
        for index in folder.glob("*index"):
            if data.draw(st.booleans()):
                noise = data.draw(st.binary(max_size=64))
                index.write_bytes(noise + index.read_bytes()[len(noise) :])
        log = recovered(folder, LastStop.CRASHED)
        epochless = contents(log)
        good = bytearray(everything[: len(epochless)])
        for header in parsed(bytes(good)):  # no checksum covers the leader epoch
            good[header.position + 12 : header.position + 16] = epochless[
                header.position + 12 : header.position + 16
            ]
        assert bytes(good) == epochless
        check_against_full_scan(log)
        log.close()
        again = recovered(folder, LastStop.CRASHED)
        assert contents(again) == epochless
        assert again.cut_bytes == 0 and not again.was_corrupt
        check_against_full_scan(again)
        again.close()


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30),
    segment=st.sampled_from([400, 2000, 10**6]),
)
def test_that_a_shutdown_and_a_kill_lose_nothing(sizes: list[int], segment: int) -> None:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name) / "t-0"
        everything = written(folder, sizes, segment)
        for last_stop in (LastStop.KILLED, LastStop.CLEAN, LastStop.CRASHED):
            log = recovered(folder, last_stop)
            assert contents(log) == everything
            assert log.cut_bytes == 0
            check_against_full_scan(log)
            log.close()
