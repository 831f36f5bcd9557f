"""The background check of closed segments: what it finds, how fast it reads, when it rests."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded_broker.shell.scrubber import OFF_MS, STEP_BYTES, Scrubber
from embedded_broker.shell.storage.disk import LogDirectory
from tests.unit.embedded_broker.shell.storage.directory import (
    COUNT,
    files_of,
    fill,
    log_of,
    opened,
)

INTERVAL_MS = 5_000


class PlannedLoop:
    """The part of the loop that the scrubber uses, on a clock that the test moves."""

    def __init__(self) -> None:
        self.ms = 0
        self._calls: list[tuple[int, int, Callable[[], None]]] = []

    def now_ms(self) -> int:
        return self.ms

    def call_at(self, at_ms: int, function: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (at_ms, len(self._calls), function))

    def post(self, function: Callable[[], None]) -> None:
        function()

    def run_to(self, ms: int) -> None:
        while self._calls and self._calls[0][0] <= ms:
            self.ms, _, function = heapq.heappop(self._calls)
            function()
        self.ms = ms


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LogDirectory]:
    directory = opened(tmp_path / "data")
    fill(directory)
    yield directory
    directory.close(clean=False)


class Bench:
    def __init__(self, disk: LogDirectory, rate: int) -> None:
        self.loop = PlannedLoop()
        self.rate = rate
        self.warnings: list[str] = []
        self.scrubber = Scrubber(
            self.loop,  # type: ignore[arg-type]
            disk,
            lambda: self.rate,
            lambda: INTERVAL_MS,
            self.warnings.append,
        )
        self.scrubber.start()


def flip(file: Path, position: int) -> None:
    with file.open("r+b") as raw:
        raw.seek(position)
        byte = raw.read(1)[0]
        raw.seek(position)
        raw.write(bytes([byte ^ 1]))


def test_that_a_changed_bit_in_any_closed_segment_is_found(
    tmp_path: Path, disk: LogDirectory
) -> None:
    closed = files_of(tmp_path / "data")[:-1]
    assert len(closed) > 3
    bench = Bench(disk, 1 << 20)
    bench.loop.run_to(INTERVAL_MS + 2_000)
    assert bench.scrubber.passes == 1 and not bench.scrubber.found
    for file in closed:
        log_of(disk).damage = ""
        flip(file, file.stat().st_size - 1)
        passes = bench.scrubber.passes
        while bench.scrubber.passes == passes:
            bench.loop.run_to(bench.loop.ms + INTERVAL_MS)
        assert str(file) in log_of(disk).damage and str(file) in bench.warnings[-1]
        flip(file, file.stat().st_size - 1)


def test_that_it_reads_no_faster_than_its_rate(disk: LogDirectory) -> None:
    size = sum(segment.size for segment in log_of(disk).closed_segments())
    assert size < STEP_BYTES
    bench = Bench(disk, rate=size // 10)
    bench.loop.run_to(INTERVAL_MS + 8_000)
    assert bench.scrubber.passes == 0
    bench.loop.run_to(INTERVAL_MS + 13_000)
    assert bench.scrubber.passes == 1


def test_that_a_rate_of_zero_switches_it_off_and_on_at_run_time(
    tmp_path: Path, disk: LogDirectory
) -> None:
    flip(files_of(tmp_path / "data")[1], 75)
    bench = Bench(disk, rate=0)
    bench.loop.run_to(20 * INTERVAL_MS)
    assert not log_of(disk).damage
    bench.rate = 1 << 20
    bench.loop.run_to(bench.loop.ms + OFF_MS + 2_000)
    assert log_of(disk).damage


def test_that_a_log_which_is_cut_or_trimmed_meanwhile_is_not_called_damaged(
    disk: LogDirectory,
) -> None:
    log = log_of(disk)
    bench = Bench(disk, rate=200)
    bench.loop.run_to(INTERVAL_MS + 1_500)
    log.advance_start(COUNT // 3)
    bench.loop.run_to(bench.loop.ms + 3_000)
    log.truncate(COUNT // 2)
    bench.loop.run_to(bench.loop.ms + 20_000)
    log.reset(COUNT + 5)
    bench.loop.run_to(bench.loop.ms + 60_000)
    assert not log.damage and not bench.warnings and bench.scrubber.passes
