"""Random lives of a log directory on a disk that loses power or fails, and the checks after each
restart (check C11)."""

from __future__ import annotations

import errno
import os
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from embedded_broker.core.log.epochs import EpochCache
from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.identity import DirectoryRefused
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed
from tests.unit.embedded_broker.shell.storage.power import PowerLossDisk

KEYS = (("t", 0), ("t", 1), ("__cluster_metadata", 0))
STEPS = 60
SEEDS = int(os.environ.get("POWER_LOSS_SEEDS", "60"))
RESTARTS = ("clean", "kill", "power", "power", "power")


@dataclass
class Expected:
    """What a log holds, and what of it must outlive a power cut."""

    topic_id: UUID
    batches: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(base offset, next offset, bytes), in order."""
    ever: dict[int, set[bytes]] = field(default_factory=dict)
    """Every batch that was ever appended, by base offset."""
    start: int = 0
    end: int = 0
    flushed: int = 0
    """Every record before this offset was flushed."""
    newest_epoch: int = 0
    """The newest epoch that the log has ever had."""

    def durable(self) -> set[tuple[int, int, bytes]]:
        """The batches that must outlive a power cut."""
        return {b for b in self.batches if self.start < b[1] <= self.flushed}

    def cut(self, end: int) -> None:
        """The log ends at this offset now."""
        self.batches = [b for b in self.batches if b[1] <= end]
        self.end = end
        self.flushed, self.start = min(self.flushed, end), min(self.start, end)


def batches_of(log: DiskPartitionLog) -> list[tuple[int, int, bytes]]:
    """What a reader gets, as ``Expected`` has it."""
    return [
        (h.base_offset, h.next_offset, log.read(h.base_offset, 1, 1 << 60, True).tobytes())
        for h in log.headers(log.log_start_offset)
    ]


class Life:
    """One directory from its first start on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.boots = 0
        self.logs: dict[tuple[str, int], Expected] = {}
        self.epochs: dict[tuple[str, int], EpochCache] = {}
        self.half_reset: set[tuple[str, int]] = set()
        self.votes: list[dict[str, Any]] = [{}]
        """The state of the quorum that was saved, and those that may have been since."""
        self.registered = False
        """Whether a registration was committed, and the process has not started unclean since."""
        self.registration_tried = False
        self.failing = False
        self.failed = False
        """Whether a call may have failed since the start."""
        self.work: deque[Callable[[], None]] = deque()
        self.trace: list[str] = []
        self.power = PowerLossDisk(folder / "boot-0", self.rng)

    # ---- starts and stops
    def open(self) -> None:
        path = self.power.root
        self.disk = LogDirectory(path, 1, "cluster-a", self.work.append, f"boot-{self.boots}")
        self.epochs = {}
        for key in KEYS:
            log = self.disk.log(*key)
            if log is not None:
                log.configure(self.rng.choice((300, 900, 5_000)), 10**12, 100)
                self.epochs[key] = EpochCache(log)

    def end_process(self) -> None:
        """Let the process go: what it has not written itself stays undone."""
        self.work.clear()
        for log in list(self.disk.logs()):
            assert isinstance(log, DiskPartitionLog)
            log.release()
        with suppress(OSError):  # a clean stop has closed it
            os.close(self.disk._lock)

    def restart(self, how: str, may_fail: bool = False) -> None:
        self.trace.append(f"restart after {how}")
        self.half_reset = {key for key in self.logs if self.is_half_reset(key)}
        self.power.heal()
        self.failing = False
        if how == "clean":
            self.run_work(len(self.work))
            self.disk.close(clean=True)
            self.work.clear()
        else:
            self.end_process()
        if how == "power":
            self.lose_power()
        if may_fail and self.rng.random() < 0.3:
            how = self.fail_to_open(how)
        self.open()
        self.check(how)

    def is_half_reset(self, key: tuple[str, int]) -> bool:
        """Whether a reset that failed may be undone: old segments are left."""
        log = self.disk.log(*key)
        return log is not None and bool(log._replaced)

    def lose_power(self) -> None:
        self.boots += 1
        self.power.lose_power(self.folder / f"boot-{self.boots}")

    def fail_to_open(self, how: str) -> str:
        """Start on a disk that fails, then once more; the power may be lost in between. Return how
        what the second start finds came about."""
        self.power.fail_after(self.rng.randrange(25), errno.EIO, self.rng.choice((1, 100)))
        self.failed = True
        before = self.disk
        try:
            self.open()
        except (StorageFailed, DirectoryRefused):
            self.trace.append("failed to open")
        if self.disk is not before:
            self.end_process()
        self.power.heal()
        self.work.clear()
        # A clean stop counts once.
        how = "kill" if how == "clean" else how
        if self.rng.random() < 0.5:
            self.trace.append("lost power again")
            self.lose_power()
            return "power"
        return how

    def live(self, steps: int, may_fail: bool) -> None:
        """Take random steps, with a restart now and then."""
        self.open()
        for _ in range(steps):
            if may_fail and not self.failing and self.rng.random() < 0.1:
                self.fail()
            if self.rng.random() < 0.08:
                self.restart(self.rng.choice(RESTARTS), may_fail)
            else:
                self.step()
        self.restart(self.rng.choice(RESTARTS), may_fail)

    # ---- steps
    def step(self) -> None:
        name = self.rng.choice(STEPS_BY_WEIGHT)
        self.trace.append(name)
        try:
            getattr(self, name)()
        except StorageFailed as e:
            assert self.failing, f"without a failing disk: {e}"
            self.adopt()

    def adopt(self) -> None:
        """After a failed call, a log is what it says it is: nothing more than it was."""
        for key, expected in self.logs.items():
            log = self.disk.log(*key)
            assert log is not None
            end = log.log_end_offset
            if end > expected.end:  # it was reset
                expected.batches, expected.flushed, expected.end = [], end, end
            elif end < expected.end:
                expected.cut(end)
            expected.start = log.log_start_offset

    def some_log(self) -> tuple[tuple[str, int], DiskPartitionLog, Expected]:
        key = self.rng.choice(KEYS)
        if key not in self.logs or self.disk.log(*key) is None:
            topic_id = UUID(int=self.rng.getrandbits(128))
            log = self.disk.create_log(key[0], topic_id, key[1])
            log.configure(self.rng.choice((300, 900, 5_000)), 10**12, 100)
            self.epochs[key] = EpochCache(log)
            self.logs[key] = Expected(topic_id)
            return key, log, self.logs[key]
        log_ = self.disk.log(*key)
        assert log_ is not None
        return key, log_, self.logs[key]

    def append(self) -> None:
        key, log, expected = self.some_log()
        cache = self.epochs[key]
        # A leader change, always after a truncation: the new leader has a newer epoch.
        if cache.latest < expected.newest_epoch or self.rng.random() < 0.2:
            expected.newest_epoch += 1
            cache.assign(expected.newest_epoch, log.log_end_offset)
        for _ in range(self.rng.choice((1, 1, 3, 8))):
            count = self.rng.choice((1, 1, 5))
            body = self.rng.randbytes(self.rng.choice((1, 20, 100)))
            offset = log.log_end_offset
            data = batch(offset, count, body, 1_000 + offset, cache.latest)
            cache.save()
            log.append(data, parsed(data), 0)
            expected.batches.append((offset, offset + count, data))
            expected.ever.setdefault(offset, set()).add(data)
            expected.end = offset + count

    def flush(self) -> None:
        _, log, expected = self.some_log()
        end = log.log_end_offset
        try:
            for segment, file, size in log.unflushed():
                file.sync()
                segment.flushed_size = max(segment.flushed_size, size)
        except OSError as e:
            self.disk.flush_failed()
            self.registered = False
            raise StorageFailed(str(e)) from e
        expected.flushed = end

    def roll(self) -> None:
        _, log, _ = self.some_log()
        log.roll()

    def truncate(self) -> None:
        key, log, expected = self.some_log()
        offset = self.rng.randint(max(expected.start, expected.end - 15), expected.end)
        log.truncate(offset)
        expected.cut(log.log_end_offset)
        self.epochs[key].truncate_from_end(log.log_end_offset)

    def reset(self) -> None:
        """A follower that is behind the start of its leader's log begins there."""
        key, log, expected = self.some_log()
        if key[0].startswith("__"):
            return
        offset = max(0, expected.end + self.rng.randint(-5, 20))
        log.reset(offset)
        expected.batches = []
        expected.start = expected.end = expected.flushed = offset
        self.epochs[key].clear()

    def delete_before(self) -> None:
        key, log, expected = self.some_log()
        if key[0].startswith("__"):
            return  # the metadata log is kept whole
        offset = self.rng.randint(expected.start, expected.end)
        log.advance_start(offset)
        expected.start = max(expected.start, offset)
        self.epochs[key].truncate_from_start(log.log_start_offset)

    def checkpoint(self) -> None:
        self.disk.checkpoint()
        self.disk.save_high_watermarks(dict.fromkeys(self.logs, 0))

    def run_work(self, most: int = 2) -> None:
        for _ in range(min(most, len(self.work))):
            work = self.work.popleft()
            try:
                work()
            except (StorageFailed, OSError):
                assert self.failing

    def vote(self) -> None:
        state = {"leaderId": -1, "leaderEpoch": len(self.trace), "votedId": 2, "lives": 1}
        self.votes.append(state)
        self.disk.save_quorum_state(state)
        self.votes = [state]

    def register(self) -> None:
        self.registration_tried = True
        self.disk.registered()
        self.registered = True

    def save_producers(self) -> None:
        _, log, expected = self.some_log()
        log.save_producers(expected.end, b"snapshot")

    def delete(self) -> None:
        key, log, _ = self.some_log()
        if not key[0].startswith("__"):
            self.rng.choice((self.disk.delete_log, self.disk.set_aside))(log)
            del self.logs[key]

    def fail(self) -> None:
        error = self.rng.choice((errno.ENOSPC, errno.EIO))
        self.power.fail_after(self.rng.randrange(12), error, self.rng.choice((1, 1, 3)))
        self.failing = self.failed = True

    # ---- checks after a restart
    def check(self, how: str) -> None:
        found = self.disk.load_quorum_state()
        assert found in self.votes
        self.votes = [found]
        for key in KEYS:
            log = self.disk.log(*key)
            known = self.logs.get(key)
            if log is not None and (known is None or known.topic_id != log.topic_id):
                # A power cut may bring back a deleted log; the metadata says that it is one.
                assert how == "power" or self.failed, f"{key} is deleted"
                self.disk.delete_log(log)
        whole = True
        for key, expected in self.logs.items():
            log = self.disk.log(*key)
            if log is None:
                assert how == "power" and expected.flushed <= expected.start, f"{key} is gone"
                whole &= expected.start == expected.end
                continue
            if log.damage:
                # The oldest segment was never flushed and is gone, or a failed reset has left a
                # lower start: the copy is fetched anew.
                assert how == "power" or self.failed, log.damage
                assert expected.durable() <= set(batches_of(log)), log.damage
                self.disk.set_aside(log)
                whole = False
                continue
            whole &= self.check_log(how, key, log, expected)
        if self.disk.was_clean:
            assert whole, "called clean, with records missing"
            assert self.registration_tried
        elif how != "power" and self.registered and not self.failed:
            raise AssertionError("called unclean, with everything there")
        self.failed = False
        if how == "power":  # a registration counts for the boot that it was in
            self.registered = False
        if not self.disk.was_clean:
            self.registered = self.registration_tried = False
        self.forget_lost()

    def check_log(
        self, how: str, key: tuple[str, int], log: DiskPartitionLog, expected: Expected
    ) -> bool:
        found = []
        offset = epoch = -1
        for header in log.headers(log.log_start_offset):
            data = bytes(log.read(header.base_offset, 1, 1 << 60, True).tobytes())
            assert offset in (-1, header.base_offset), f"{key}: a hole at {offset}"
            assert header.leader_epoch >= epoch, f"{key}: epochs go back at {header.base_offset}"
            assert data in expected.ever.get(header.base_offset, set()), f"{key}: {header}"
            first = max(header.base_offset, log.log_start_offset)
            assert self.epochs[key].epoch_at(first) == header.leader_epoch, f"{key}: {first}"
            offset, epoch = header.next_offset, header.leader_epoch
            found.append((header.base_offset, header.next_offset, data))
        assert offset in (-1, log.log_end_offset)
        if expected.flushed > expected.start:
            assert log.log_end_offset >= expected.flushed, f"{key}: flushed records are lost"
        needed = [b for b in expected.batches if expected.start < b[1]]
        assert expected.durable() <= set(found), f"{key}: flushed records are lost"
        whole = set(needed) <= set(found)
        if how != "power" and key not in self.half_reset:
            assert whole and log.log_end_offset == expected.end, f"{key}: records are lost"
        if how == "clean" and key not in self.half_reset:
            assert log.log_start_offset == expected.start
        return whole

    def forget_lost(self) -> None:
        """What is there now is what the log holds from now on."""
        for key in list(self.logs):
            log, expected = self.disk.log(*key), self.logs[key]
            if log is None:
                del self.logs[key]
                continue
            expected.batches = batches_of(log)
            expected.start, expected.end = log.log_start_offset, log.log_end_offset
            expected.flushed = min(expected.flushed, expected.end)


STEPS_BY_WEIGHT = (
    *(["append"] * 8 + ["flush"] * 4 + ["run_work"] * 4 + ["truncate"] * 2 + ["checkpoint"] * 2),
    *("roll", "delete_before", "reset", "vote", "register", "register", "save_producers", "delete"),
)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("may_fail", [False, True], ids=["whole", "failing"])
def test_that_what_was_flushed_outlives_any_restart(
    tmp_path: Path, seed: int, may_fail: bool
) -> None:
    life = Life(tmp_path, seed)
    with life.power.watched():
        try:
            life.live(STEPS, may_fail)
        except BaseException:
            print("\n".join(life.trace))  # what led to it
            raise
