"""Simulated nodes on the real storage code: each has a directory on a disk that loses power
(``PowerLossDisk``), and every start is a recovery by ``shell.storage``.

A ``StoredLog`` passes each call of the core on to the real log, and keeps beside it the simulator's
own copy, which the checkers read. The copy follows the real log, never the other way: it is made
from it at each start and after each call that failed.
"""

from __future__ import annotations

import gc
import os
import random
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import pytest

from embedded_broker.core.ports import PartitionLog, SegmentInfo, StorageFailed
from embedded_broker.shell.storage import disk as disk_module
from embedded_broker.shell.storage import identity, partition_log, recovery
from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.identity import DirectoryRefused
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from embedded_broker.shell.storage.segment import Segment
from embedded_broker.simulator.disk import Later, Platter, SimDisk
from embedded_broker.simulator.log import SimLog, SimSlice
from embedded_broker.simulator.world import WALL_START_MS, Violation
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader, read_header
from tests.unit.embedded_broker.shell.storage.power import PowerLossDisk

CHECKPOINT_MS = 2_000
BACKGROUND_MS = 40
"""The longest that file work waits for the thread that does it."""


class StoredWorld:
    """Makes disks, one directory each, and watches what the process does to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(f"{seed}/stored")
        self.batches: dict[tuple[UUID, int, int, int], bytes] = {}
        """Every batch that was ever appended, by topic, partition, leader epoch and offset, of
        which a leader epoch writes one (C3)."""
        self._platters: list[StoredPlatter] = []
        self._watched = ExitStack()

    def __enter__(self) -> StoredWorld:
        patch = self._watched.enter_context(pytest.MonkeyPatch.context())
        for module in (disk_module, identity, partition_log, recovery):
            patch.setattr(module, "uuid4", self.uuid)
        patch.setattr(disk_module, "now_ms", lambda: WALL_START_MS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watched.close()
        for platter in self._platters:
            platter.release()
        self._platters.clear()
        gc.collect()  # files that were released close when nothing refers to them any more

    def uuid(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    def platter(self, directory_id: UUID) -> StoredPlatter:
        power = PowerLossDisk(self.folder / f"disk-{len(self._platters) + 1}-0", self.rng)
        self._watched.enter_context(power.watched())
        self._platters.append(StoredPlatter(self, power, directory_id))
        return self._platters[-1]


class StoredLog(SimLog):
    """One partition's log in a real directory, and the simulator's copy of it."""

    def __init__(self, platter: StoredPlatter, log: DiskPartitionLog) -> None:
        self.log = log
        super().__init__(platter, log.topic, log.topic_id, log.partition)
        self._world = platter.world
        self._stored_on = platter
        self.decayed: set[int] = set()
        """Those of ``rotten`` that the file shows."""
        self._flushes: dict[int, list[tuple[Segment, Any, int]]] = {}
        self.copy()

    def copy(self) -> None:
        """Make the simulator's copy anew."""
        self._clip(self._trimmed)
        self._cut_tail(0, self.log.log_start_offset)
        for header in self.log.headers(self.log.log_start_offset):
            found = self._world.batches.get(self._place(header))
            if found is None:
                raise Violation("C11", f"{self.name} has a batch that nobody wrote: {header}")
            self._push(read_header(found), found)
        self._start, self._end = self.log.log_start_offset, self.log.log_end_offset

    @property
    def name(self) -> str:
        return f"{self.topic}-{self.partition}"

    def _place(self, header: BatchHeader) -> tuple[UUID, int, int, int]:
        return self.topic_id, self.partition, header.leader_epoch, header.base_offset

    def _do(self, call: Callable[..., None], *args: Any) -> None:
        """Call the real log; after a failure, whatever it is now counts."""
        try:
            call(*args)
        except StorageFailed:
            self.copy()
            raise

    # What the real log finds out, which the simulator's copy does not know.
    @property
    def damage(self) -> str:
        return self.log.damage

    @damage.setter
    def damage(self, text: str) -> None: ...

    @property
    def lost_records(self) -> bool:
        return self.log.lost_records

    @lost_records.setter
    def lost_records(self, lost: bool) -> None: ...

    @property
    def log_start_offset(self) -> int:
        return self.log.log_start_offset if self.log._segments else self._start

    @property
    def log_end_offset(self) -> int:
        return self.log.log_end_offset if self.log._segments else self._end

    @property
    def size_bytes(self) -> int:
        return self.log.size_bytes

    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
        view = memoryview(records)
        for header in headers:
            data = bytes(view[header.position : header.position + header.size])
            self._world.batches[self._place(header)] = data
        self._do(self.log.append, records, headers, now_ms)
        super().append(records, headers, now_ms)

    def read(
        self, start_offset: int, max_bytes: int, end_offset: int, at_least_one: bool
    ) -> SimSlice:
        found = self.log.read(start_offset, max_bytes, end_offset, at_least_one)
        data, at = found.tobytes(), 0
        while at < len(data):
            header = read_header(data, at)
            at += header.size
            if self._world.batches.get(self._place(header)) != data[header.position : at]:
                raise Violation("C11", f"{self.name} reads a batch that nobody wrote: {header}")
        return SimSlice([data])

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        return self.log.headers(start_offset)

    def truncate(self, offset: int) -> None:
        self._do(self.log.truncate, offset)
        super().truncate(offset)

    def reset(self, offset: int) -> None:
        self._do(self.log.reset, offset)
        super().reset(offset)

    def advance_start(self, offset: int) -> None:
        self._do(self.log.advance_start, offset)
        super().advance_start(offset)

    def segments(self) -> Sequence[SegmentInfo]:
        return self.log.segments()

    def roll(self) -> None:
        self._do(self.log.roll)
        super().roll()

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None:
        self.log.configure(segment_bytes, segment_ms, index_interval_bytes)

    def batch_at_time(self, timestamp: int, start_offset: int, end_offset: int) -> bytes | None:
        return self.log.batch_at_time(timestamp, start_offset, end_offset)

    def batch_of_max_timestamp(self, end_offset: int) -> bytes | None:
        return self.log.batch_of_max_timestamp(end_offset)

    def load_epochs(self) -> list[tuple[int, int]]:
        return self.log.load_epochs()

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        self.log.save_epochs(entries)

    def load_producers(self) -> list[tuple[int, bytes]]:
        return self.log.load_producers()

    def save_producers(self, offset: int, snapshot: bytes) -> None:
        self.log.save_producers(offset, snapshot)

    # ---- flushes and faults
    def begin_flush(self) -> int:
        mark = super().begin_flush()
        self._flushes[mark] = self.log.unflushed()
        return mark

    def end_flush(self, mark: int) -> None:
        super().end_flush(mark)
        try:
            for segment, file, size in self._flushes.pop(mark):
                file.sync()
                if segment.file is file:
                    segment.flushed_size = max(segment.flushed_size, min(size, segment.size))
        except OSError as e:
            self._stored_on.flush_failed()
            raise StorageFailed(f"cannot flush {self.name}: {e}") from e

    def rot(self, copies: list[SimLog], pick: int) -> bool:
        if not self.log._segments or not all(
            isinstance(copy, StoredLog) and copy.log._segments for copy in copies
        ):
            return False  # of a process that has ended
        if not super().rot(copies, pick):
            return False
        for copy in copies:
            copy.make_durable()
        return True

    def decay(self) -> None:
        """Let the rot reach the file. A running process does not meet it, because the pages that it
        wrote are in memory; the next one does."""
        for offset in self.rotten - self.decayed:
            segment = max(
                (s for s in self.log._segments if s.base_offset <= offset),
                key=lambda s: s.base_offset,
            )
            sizes = [
                h.size for h in self.headers_ if segment.base_offset <= h.base_offset <= offset
            ]
            self._stored_on.power.flip_bit(segment.file.path, sum(sizes) - 1)
        self.decayed |= self.rotten


class StoredPlatter(Platter):
    """A node's disk with a real directory."""

    def __init__(self, world: StoredWorld, power: PowerLossDisk, directory_id: UUID) -> None:
        self.world, self.power = world, power
        self.directory: LogDirectory | None = None
        """The directory of the running process."""
        self.boots = 0
        self.disturbed = False
        """Whether a call may have failed since the last start."""
        self.votes: list[dict[str, Any]] = [{}]
        """The state of the quorum that was saved, and those that may have been since."""
        self._work: deque[Callable[[], None]] = deque()
        super().__init__(directory_id)

    @property
    def full(self) -> bool:
        return self.power.full

    @full.setter
    def full(self, full: bool) -> None:
        self.power.full = full
        self.disturbed |= full

    @property
    def failing(self) -> bool:
        return self.power.failing

    @failing.setter
    def failing(self, failing: bool) -> None:
        self.power.failing = failing
        self.disturbed |= failing

    def check_write(self, log: SimLog, grows: int) -> None:
        """The real calls fail themselves."""

    def check_read(self, log: SimLog) -> None:
        """The real calls fail themselves."""

    def flush_failed(self) -> None:
        if self.directory is not None:
            self.directory.flush_failed()

    # ---- a process
    def open(self, later: Later) -> StoredDisk:
        def in_background(work: Callable[[], None]) -> None:
            self._work.append(work)
            later(self.world.rng.randint(0, BACKGROUND_MS), self.work)

        def checkpoint() -> None:
            assert self.directory is not None
            self.directory.checkpoint()
            later(CHECKPOINT_MS, checkpoint)

        self._work.clear()
        try:
            directory = LogDirectory(
                self.power.root, 1, "simulated", in_background, f"boot-{self.boots}"
            )
        except DirectoryRefused as e:
            if self.full or self.failing:
                raise StorageFailed(str(e)) from e
            raise
        self.directory = directory
        self.directory_id = directory.directory_id
        before, was_killed = self.logs, not self.unclean and not self.disturbed
        found: dict[tuple[str, UUID, int], StoredLog] = {}
        for log in directory.logs():
            assert isinstance(log, DiskPartitionLog)
            found[log.topic, log.topic_id, log.partition] = StoredLog(self, log)
        for key, old in before.items():
            new = found.get(key)
            if new is not None:
                new.rotten = {offset for offset in old.rotten if offset < new.log_end_offset}
                new.decayed = set(new.rotten)
            if was_killed and not old.rotten:
                self._compare(old, new)
        self.logs = {**found}
        self.quorum_state = directory.load_quorum_state()
        if self.quorum_state not in self.votes:
            raise Violation("C11", f"the votes are {self.quorum_state}, saved were {self.votes}")
        self.votes = [self.quorum_state]
        self.unclean = not directory.was_clean
        self.disturbed = self.full or self.failing
        later(CHECKPOINT_MS, checkpoint)
        return StoredDisk(self)

    def _compare(self, old: SimLog, new: SimLog | None) -> None:
        """C11: a kill loses nothing that was written."""
        start, end, there = old._start, 0, []
        if new is not None:  # its start may be an older one, which was on the disk
            start, end = max(start, new.log_start_offset), new.log_end_offset
            there = [data for _, data in new.between(start, end)]
        if end != old._end or there != [data for _, data in old.between(start, end)]:
            raise Violation(
                "C11",
                f"after a kill {old.topic}-{old.partition} ends at {end} with {len(there)} batches,"
                f" it had {len(old.bytes_)} up to {old._end}",
            )

    def _stored_logs(self) -> list[StoredLog]:
        return [log for log in self.logs.values() if isinstance(log, StoredLog)]

    def work(self) -> None:
        """Do the oldest file work; the shell warns of what fails."""
        if self._work:
            with suppress(StorageFailed, OSError):
                self._work.popleft()()

    def process_ended(self, rng: random.Random, power: bool, clean: bool = False) -> int:
        directory, self.directory = self.directory, None
        if directory is not None:
            for log in self._stored_logs():
                log._end, log._start = log.log_end_offset, log.log_start_offset
                log.decay()
            if clean:
                while self._work:
                    self.work()
                directory.background = disk_module.run_now
                with suppress(StorageFailed, OSError):
                    directory.close(clean=True)
            else:
                _release(directory)
            self._work.clear()
        if power:
            old = self.power.root
            self.boots += 1
            self.power.lose_power(old.with_name(f"{old.name.rpartition('-')[0]}-{self.boots}"))
            shutil.rmtree(old)
        self.unclean = self.unclean or power
        return 0

    def release(self) -> None:
        """Close the files of a process that runs at the end."""
        if self.directory is not None:
            _release(self.directory)


def _release(directory: LogDirectory) -> None:
    for log in list(directory.logs()):
        assert isinstance(log, DiskPartitionLog)
        log.release()
    os.close(directory._lock)


class StoredDisk(SimDisk):
    """The Disk port of ``core.ports`` for one process, in a real directory."""

    def __init__(self, platter: StoredPlatter) -> None:
        super().__init__(platter)
        self.stored = platter

    def _directory(self) -> LogDirectory:
        self._open()
        assert self.stored.directory is not None
        return self.stored.directory

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> SimLog:
        created = StoredLog(self.stored, self._directory().create_log(topic, topic_id, partition))
        self.stored.logs[topic, topic_id, partition] = created
        return created

    def delete_log(self, log: PartitionLog) -> None:
        self._remove(log, self._directory().delete_log)

    def set_aside(self, log: PartitionLog) -> None:
        self._remove(log, self._directory().set_aside)

    def _remove(self, log: PartitionLog, call: Callable[[PartitionLog], None]) -> None:
        assert isinstance(log, StoredLog)
        call(log.log)
        del self.stored.logs[log.topic, log.topic_id, log.partition]

    def load_high_watermarks(self) -> dict[tuple[str, int], int]:
        return self._directory().load_high_watermarks()

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        self._directory().save_high_watermarks(values)

    def load_wall_ms(self) -> int:
        return self._directory().load_wall_ms()

    def save_wall_ms(self, wall_ms: int) -> None:
        self._directory().save_wall_ms(wall_ms)

    def load_quorum_state(self) -> dict[str, Any]:
        return self._directory().load_quorum_state()

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        self.stored.votes.append(dict(state))
        self._directory().save_quorum_state(state)
        self.stored.quorum_state = dict(state)
        self.stored.votes = [dict(state)]

    def registered(self) -> None:
        self._directory().registered()
        self.stored.unclean = False

    def probe(self) -> None:
        self._directory().probe()
