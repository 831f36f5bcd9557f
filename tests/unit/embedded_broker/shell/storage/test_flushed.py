"""What was flushed is there after a power cut, and hides nothing: the orders of events that random
lives (``test_power_loss``) have shown, each in the worst case, in which only what was synced is
left."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from embedded_broker.core.log.epochs import EpochCache
from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.disk import METADATA_LOG, LogDirectory
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed
from tests.unit.embedded_broker.shell.storage.directory import flush, log_of
from tests.unit.embedded_broker.shell.storage.power import PowerLossDisk

VOTE = {"leaderId": -1, "leaderEpoch": 7, "votedId": 2, "lives": 1}


class Machine:
    """A directory on a machine that can be killed and lose power."""

    def __init__(self, folder: Path, power: PowerLossDisk) -> None:
        self._folder, self.power = folder, power
        self._boot = 0
        self.work: deque[Callable[[], None]] = deque()
        """The file work that the background has not done yet."""
        self.start()

    def start(self) -> None:
        path, boot = self.power.root, f"boot-{self._boot}"
        self.disk = LogDirectory(path, 1, "cluster-a", self.work.append, boot)

    def kill(self) -> None:
        """End the process and start another."""
        self._end()
        self.start()

    def cut_power(self) -> None:
        """Let only what was synced be left, and start again."""
        self._end()
        self._boot += 1
        self.power.lose_power(self._folder / f"boot-{self._boot}", worst=True)
        self.start()

    def _end(self) -> None:
        self.work.clear()
        for log in list(self.disk.logs()):
            log_of(self.disk, log.topic).release()
        os.close(self.disk._lock)

    def do_work(self) -> None:
        """Let the background do all its work."""
        while self.work:
            self.work.popleft()()

    def log(self, topic: str = "t") -> DiskPartitionLog:
        return log_of(self.disk, topic)

    def create(self, topic: str = "t") -> None:
        self.disk.create_log(topic, UUID(int=7), 0)

    def append(self, count: int, epoch: int = 1, topic: str = "t") -> None:
        for _ in range(count):
            log = self.log(topic)
            data = batch(log.log_end_offset, epoch=epoch)
            log.append(data, parsed(data), 0)

    def found(self, topic: str = "t") -> list[tuple[int, int]]:
        """(offset, leader epoch) of the records that a reader gets."""
        log = self.log(topic)
        return [(h.base_offset, h.leader_epoch) for h in log.headers(log.log_start_offset)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    power = PowerLossDisk(tmp_path / "boot-0", random.Random(1))
    with power.watched():
        yield Machine(tmp_path, power)


def of_epoch(epoch: int, *offsets: int) -> list[tuple[int, int]]:
    return [(offset, epoch) for offset in offsets]


def test_that_a_flushed_log_is_not_set_aside_for_want_of_its_identity(machine: Machine) -> None:
    machine.create()
    machine.append(3)
    flush(machine.disk)
    machine.cut_power()
    assert machine.found() == of_epoch(1, 0, 1, 2)
    assert machine.log().topic_id == UUID(int=7)


def test_that_a_flush_covers_what_a_killed_process_has_written(machine: Machine) -> None:
    """The names of its files, and the segments that it had sealed."""
    machine.create()
    machine.append(2)
    machine.log().roll()
    machine.append(2)
    machine.kill()
    flush(machine.disk)
    machine.cut_power()
    assert machine.found() == of_epoch(1, 0, 1, 2, 3)


def test_that_a_flush_covers_a_truncation(machine: Machine) -> None:
    """Else the end that was cut off comes back in front of the next segment, which then counts as
    one behind a hole."""
    machine.create()
    machine.append(4)
    flush(machine.disk)
    machine.log().truncate(2)
    machine.log().roll()
    machine.append(2, epoch=2)
    flush(machine.disk)
    machine.cut_power()
    assert machine.found() == of_epoch(1, 0, 1) + of_epoch(2, 2, 3)


def test_that_a_flush_covers_a_truncation_of_a_killed_process(machine: Machine) -> None:
    machine.create()
    machine.append(4)
    flush(machine.disk)
    machine.disk.checkpoint()
    machine.do_work()
    machine.log().truncate(2)
    machine.log().roll()
    machine.append(2, epoch=2)
    machine.kill()
    flush(machine.disk)
    machine.cut_power()
    assert machine.found() == of_epoch(1, 0, 1) + of_epoch(2, 2, 3)


def test_that_a_recovery_point_above_a_cut_is_not_believed(machine: Machine) -> None:
    """What follows the cut was never flushed: a sealed segment of it must be read."""
    machine.create()
    machine.append(9)
    flush(machine.disk)
    machine.disk.checkpoint()
    machine.do_work()
    machine.log().truncate(2)
    machine.append(2, epoch=2)
    machine.log().roll()
    machine.append(1, epoch=2)
    machine.kill()
    assert machine.log().unflushed()[0][0].base_offset == 0
    assert machine.log().recovery_point() == 0


def test_that_records_behind_a_lost_end_are_not_hidden_as_deleted(machine: Machine) -> None:
    """The start offset is on the disk, the records before it were not."""
    machine.create()
    machine.append(3)
    flush(machine.disk)
    machine.append(5)
    machine.log().advance_start(6)
    machine.disk.checkpoint()
    machine.do_work()
    machine.cut_power()
    assert machine.log().log_end_offset == 3
    machine.append(6, epoch=2)
    machine.kill()
    assert machine.found() == of_epoch(2, 3, 4, 5, 6, 7, 8)


def test_that_records_after_a_truncation_are_not_hidden_as_deleted(machine: Machine) -> None:
    machine.create()
    machine.append(8)
    machine.log().advance_start(6)
    machine.disk.checkpoint()
    machine.do_work()
    machine.log().truncate(4)
    machine.append(4, epoch=2)
    machine.kill()
    assert machine.found() == of_epoch(2, 4, 5, 6, 7)


def test_that_a_new_topic_of_an_old_name_hides_no_records(machine: Machine) -> None:
    machine.create()
    machine.append(8)
    flush(machine.disk)
    machine.log().advance_start(6)
    machine.disk.registered()
    machine.disk.checkpoint()
    machine.do_work()
    machine.disk.delete_log(machine.log())
    machine.create()
    machine.append(7)
    machine.kill()
    assert machine.found() == of_epoch(1, 0, 1, 2, 3, 4, 5, 6)
    assert machine.disk.was_clean


def test_that_no_older_start_offset_replaces_a_newer(machine: Machine) -> None:
    """Each piece of file work writes what is true when it is done."""
    machine.create()
    for _ in range(3):
        machine.append(3)
        machine.log().roll()
    machine.append(1)
    flush(machine.disk)
    machine.log().advance_start(1)
    machine.disk.checkpoint()
    machine.log().advance_start(7)  # deletes two segments
    flush(machine.disk)
    machine.do_work()
    machine.cut_power()
    assert not machine.log().damage
    assert machine.found()[-1] == (9, 1)


@pytest.mark.parametrize("also_damaged", [False, True])
def test_that_a_vote_outlives_the_folder_that_it_is_in(
    machine: Machine, also_damaged: bool
) -> None:
    machine.create("__cluster_metadata")
    machine.disk.save_quorum_state(VOTE)
    machine.cut_power()
    assert machine.disk.load_quorum_state() == VOTE
    if also_damaged:
        folder = machine.power.root / METADATA_LOG
        folder.mkdir(exist_ok=True)
        (folder / "partition.metadata").write_bytes(b"?")
        machine.kill()
        assert machine.disk.log("__cluster_metadata", 0) is None
        assert machine.disk.load_quorum_state() == VOTE
        machine.create("__cluster_metadata")
        assert machine.disk.load_quorum_state() == VOTE


def test_that_a_vote_that_a_start_has_read_is_on_the_disk(machine: Machine) -> None:
    """A voter repeats it without writing it again."""
    machine.create("__cluster_metadata")
    machine.disk.save_quorum_state(VOTE)
    machine.power.fail_after(4, errno.EIO)  # the flush of the folder, after the rename
    with pytest.raises(StorageFailed):
        machine.disk.save_quorum_state(VOTE | {"votedId": 3})
    machine.kill()
    read = machine.disk.load_quorum_state()
    machine.cut_power()
    assert machine.disk.load_quorum_state() == read == VOTE | {"votedId": 3}


def test_that_a_part_of_a_failed_write_hides_no_later_segment(machine: Machine) -> None:
    machine.create()
    machine.append(1)
    torn = machine.log().directory / f"{0:020d}.log"
    machine.power.fail_after(0, errno.EIO, count=2)  # the write, and the removal of its part
    with pytest.raises(StorageFailed):
        machine.append(1)
    with torn.open("ab") as file:
        file.write(b"a part")
    machine.log().roll()
    machine.append(2)
    machine.kill()
    assert machine.found() == of_epoch(1, 0, 1, 2)
    assert not machine.log().lost_records


def test_that_a_torn_end_in_front_of_a_segment_is_no_hole(machine: Machine) -> None:
    machine.create()
    machine.append(1)
    machine.log().roll()
    machine.append(2)
    with (machine.log().directory / f"{0:020d}.log").open("ab") as file:
        file.write(b"a part")
    machine.kill()
    assert machine.found() == of_epoch(1, 0, 1, 2)


def test_that_nothing_is_appended_behind_segments_that_a_reset_could_not_delete(
    machine: Machine,
) -> None:
    machine.create()
    machine.append(3)
    machine.power.fail_after(5, errno.EIO, count=2)  # renames of the old segment
    with pytest.raises(StorageFailed):
        machine.log().reset(10)
    with pytest.raises(StorageFailed):
        machine.append(1)
    machine.append(2)
    machine.kill()
    assert machine.found() == of_epoch(1, 10, 11)


def test_that_a_checkpoint_made_before_a_cut_is_not_written_after_it(machine: Machine) -> None:
    machine.create()
    machine.disk.registered()
    machine.append(9)
    flush(machine.disk)
    machine.disk.checkpoint()
    machine.log().truncate(2)
    machine.do_work()
    machine.kill()
    assert machine.disk.was_clean
    assert machine.log().recovery_point() == 0


def test_that_a_reset_that_fails_leaves_the_start_of_the_log(machine: Machine) -> None:
    machine.create()
    machine.append(4)
    machine.log().reset(30)
    machine.disk.checkpoint()
    machine.do_work()
    machine.power.fail_after(8, errno.EIO)  # the new segment, after the checkpoint
    with pytest.raises(StorageFailed):
        machine.log().reset(27)
    assert machine.log().log_start_offset == machine.log().log_end_offset == 30
    machine.append(1)
    machine.disk.checkpoint()
    machine.do_work()
    machine.kill()
    assert not machine.log().damage
    assert machine.found() == of_epoch(1, 30)


def test_that_the_recovery_point_does_not_pass_a_reset_before_a_flush(machine: Machine) -> None:
    """A power cut may undo the reset, and nothing before it was flushed."""
    machine.create()
    machine.append(3)
    assert machine.log().recovery_point() == 0
    machine.log().reset(10)
    assert machine.log().recovery_point() == 0
    flush(machine.disk)
    assert machine.log().recovery_point() == 10


def test_that_cutting_many_logs_writes_one_checkpoint(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"t{i}" for i in range(20)]
    for name in names:
        machine.create(name)
        machine.append(4, topic=name)
    flush(machine.disk)
    machine.disk.checkpoint()
    machine.do_work()
    written: list[dict[tuple[str, int], int]] = []
    write = files.write_offsets

    def counted(path: Path, offsets: dict[tuple[str, int], int]) -> None:
        written.append(offsets)
        write(path, offsets)

    monkeypatch.setattr(files, "write_offsets", counted)
    for name in names:
        machine.log(name).truncate(2)
    assert len(written) == 1
    assert set(written[0].values()) == {0}


def test_that_a_registration_forgets_logs_that_are_gone(machine: Machine) -> None:
    machine.create()
    machine.create("other")
    machine.append(1)
    flush(machine.disk)
    machine.disk.registered()
    machine._end()
    shutil.rmtree(machine.power.root / "t-0")
    machine.start()
    assert not machine.disk.was_clean
    machine.disk.registered()
    machine.kill()
    assert machine.disk.was_clean


def test_that_a_segment_of_an_older_epoch_does_not_come_back(machine: Machine) -> None:
    """A power cut may undo the deletion of a segment behind a truncation, and the records in front
    of it may end where it begins."""
    machine.create()
    machine.append(4)
    machine.log().roll()
    machine.append(2)
    flush(machine.disk)
    stale = machine.power.root / "t-0" / f"{4:020d}.log"
    data = stale.read_bytes()
    machine.log().truncate(2)
    machine.append(2, epoch=2)
    flush(machine.disk)
    machine._end()
    stale.write_bytes(data)
    machine._boot += 1
    machine.start()
    assert machine.found() == of_epoch(1, 0, 1) + of_epoch(2, 2, 3)
    epochs = EpochCache(machine.log())
    assert epochs.entries == [(1, 0), (2, 2)]
