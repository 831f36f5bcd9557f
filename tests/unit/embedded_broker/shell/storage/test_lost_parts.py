"""What a start believes of a log directory of which a part is missing or old."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.recovery import LastStop
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed
from tests.unit.embedded_broker.shell.storage.directory import (
    COUNT,
    files_of,
    fill,
    flush,
    log_of,
    opened,
    without_folder,
    without_oldest,
)


def without_newest(path: Path) -> None:
    files_of(path)[-1].unlink()


def without_middle(path: Path) -> None:
    files_of(path)[3].unlink()


def without_segments(path: Path) -> None:
    for file in files_of(path):
        file.unlink()


def with_an_emptied_segment(path: Path) -> None:
    files_of(path)[3].write_bytes(b"")


def with_a_shorter_sealed_segment(path: Path) -> None:
    file = files_of(path)[3]
    first = parsed(file.read_bytes())[0]
    os.truncate(file, first.size * 2)


def without_identity(path: Path) -> None:
    (path / "t-0" / "partition.metadata").unlink()


def without_recovery_points(path: Path) -> None:
    (path / "recovery-point-offset-checkpoint").unlink()


def with_damaged_recovery_points(path: Path) -> None:
    (path / "recovery-point-offset-checkpoint").write_bytes(b"0\n1\nt 0 \xff\n")


LOSSES = [
    without_newest,
    without_middle,
    without_oldest,
    without_segments,
    with_an_emptied_segment,
    with_a_shorter_sealed_segment,
    without_folder,
    without_identity,
    without_recovery_points,
    with_damaged_recovery_points,
]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("lose", LOSSES)
def test_that_a_directory_of_which_a_part_is_missing_is_not_clean(
    path: Path, disk: LogDirectory, lose: Callable[[Path], None], clean: bool
) -> None:
    disk.close(clean)
    lose(path)
    again = opened(path)
    assert not again.was_clean
    # Nor does a second crash make it so.
    again.close(clean=False)
    third = opened(path)
    assert not third.was_clean
    third.close(clean=False)


@pytest.mark.parametrize("clean", [True, False])
def test_that_a_whole_directory_is_clean(path: Path, disk: LogDirectory, clean: bool) -> None:
    log_of(disk).advance_start(20)
    disk.checkpoint()
    disk.close(clean)
    again = opened(path)
    assert again.was_clean and again.recovery_notes() == []
    assert (log_of(again).log_start_offset, log_of(again).log_end_offset) == (20, COUNT)
    again.close(clean=False)


def test_that_deleting_a_topic_or_its_old_segments_leaves_the_directory_clean(
    path: Path, disk: LogDirectory
) -> None:
    fill(disk, "gone")
    fill(disk, "aside")
    flush(disk)
    disk.checkpoint()
    queued: list[Callable[[], None]] = []
    disk.background = queued.append  # killed before the background has done anything
    disk.delete_log(log_of(disk, "gone"))
    disk.set_aside(log_of(disk, "aside"))
    log_of(disk).advance_start(30)
    assert queued
    disk.close(clean=False)
    again = opened(path)
    assert again.was_clean and again.recovery_notes() == []
    assert log_of(again).damage == ""
    assert sorted(p.name.partition(".")[0] for p in path.glob("*-stray")) == ["aside-0"]
    again.close(clean=False)
    third = opened(path)
    assert third.was_clean
    third.close(clean=False)


def test_that_after_a_failed_flush_nothing_counts_as_clean(path: Path, disk: LogDirectory) -> None:
    disk.flush_failed()
    disk.close(clean=False)
    again = opened(path)
    assert again.last_stop is LastStop.CRASHED and not again.was_clean
    again.close(clean=False)


def test_that_a_shutdown_whose_flush_fails_is_not_clean(
    path: Path, disk: LogDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = batch(COUNT, epoch=4)
    log_of(disk).append(data, parsed(data), 0)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("embedded_broker.shell.platform.fdatasync", broken)
        with pytest.raises(OSError, match="Input/output"):
            disk.close(clean=True)
    os.close(disk._lock)
    again = opened(path)
    assert not again.was_clean
    again.close(clean=False)


# ---- leader epochs
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0\n0\n",
        b"0\n1\n7 0\n",
        b"0\n1\n0 30\n",
        b"0\n1\n2 0\n",
        b"0\n1\n4 20\n",
        b"0\n2\n2 0\n4 21\n",
        b"0\n2\n2 0\n4 19\n",
        b"0\n3\n1 0\n2 5\n4 20\n",
        b"0\n2\n2 0\n\xb2 20\n",
        "0\n2\n2 0\n4 2²\n".encode(),
        b"0\n2\n2 0\n4 20\n9",
        b"0\n1\n9999999999999 0\n",
        None,
    ],
)
def test_that_the_batches_decide_over_the_file_of_epochs(
    path: Path, disk: LogDirectory, text: bytes | None
) -> None:
    disk.close(clean=True)
    file = path / "t-0" / "leader-epoch-checkpoint"
    file.unlink() if text is None else file.write_bytes(text)
    again = opened(path)
    assert log_of(again).load_epochs() == [(2, 0), (4, 20)]
    assert again.was_clean
    again.close(clean=True)


def test_that_epochs_which_wrote_nothing_or_ended_before_the_start_are_right(
    path: Path, disk: LogDirectory
) -> None:
    log = log_of(disk)
    log.save_epochs([(2, 0), (4, 20), (6, COUNT)])
    log.advance_start(30)
    disk.close(clean=True)
    again = opened(path)
    assert log_of(again).load_epochs() == [(4, 20), (6, COUNT)]
    again.close(clean=True)


# ---- names and small files
@pytest.mark.parametrize("name", ["x-²", "x-١", "x-99999999999999999999", "x-01", "-1", "x"])
def test_that_a_folder_which_is_no_partitions_stays_where_it_is(path: Path, name: str) -> None:
    folder = path / name
    folder.mkdir(parents=True)
    (folder / "file").write_text("mine")
    (path / "meta.properties").write_text(
        "version=1\ncluster.id=cluster-a\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAABw\n"
    )
    (folder / "partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw\n")
    disk = opened(path)
    assert list(disk.logs()) == []
    disk.close(clean=True)
    assert (folder / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        ".boot",
        ".registered",
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
        "log-start-offset-checkpoint",
        "t-0/leader-epoch-checkpoint",
        "t-0/partition.metadata",
    ],
)
def test_that_a_file_that_can_be_made_again_does_not_stop_the_start(
    path: Path, disk: LogDirectory, name: str
) -> None:
    disk.close(clean=True)
    (path / name).write_bytes(b"\xff\xfe\xb2")
    again = opened(path)
    if name != "t-0/partition.metadata":
        assert log_of(again).log_end_offset == COUNT
    again.close(clean=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"leaderEpoch": -5}',
        '{"leaderEpoch": 99999999999}',
        '{"leaderEpoch": 1.5}',
        '{"leaderEpoch": true}',
        '{"votedId": -2}',
        '{"lives": -1}',
        '{"forgetful": "no"}',
        "[1]",
        "{",
    ],
)
def test_that_a_quorum_state_which_no_voter_wrote_counts_as_lost(path: Path, text: str) -> None:
    disk = opened(path)
    (path / "quorum-state").write_text(text)
    assert disk.load_quorum_state() == {}
    assert any("quorum-state is damaged" in note for note in disk.recovery_notes())
    disk.close(clean=True)
