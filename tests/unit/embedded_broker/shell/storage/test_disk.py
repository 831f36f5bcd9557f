from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.identity import DirectoryRefused
from embedded_broker.shell.storage.recovery import LastStop
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed

ID = UUID(int=7)


def opened(
    path: Path, boot: str = "boot-1", node_id: int = 1, cluster_id: str = "cluster-a"
) -> LogDirectory:
    return LogDirectory(path, node_id, cluster_id, boot_id=boot)


def fill(disk: LogDirectory, topic: str = "t", count: int = 3) -> None:
    log = disk.log(topic, 0) or disk.create_log(topic, ID, 0)
    for _ in range(count):
        data = batch(log.log_end_offset)
        log.append(data, parsed(data), 0)


def test_that_the_directory_has_kafkas_layout(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    disk.save_high_watermarks({("t", 0): 2})
    disk.create_log("__cluster_metadata", UUID(int=1), 0)
    disk.save_quorum_state({"leaderId": 1, "leaderEpoch": 3, "votedId": -1, "data_version": 1})
    log = disk.log("t", 0)
    assert log is not None
    log.save_epochs([(0, 0)])
    disk.close(clean=True)
    top = tmp_path / "d"
    names = {p.name for p in top.iterdir()}
    wanted = {
        "meta.properties",
        ".lock",
        ".kafka_cleanshutdown",
        "recovery-point-offset-checkpoint",
    }
    assert wanted | {"replication-offset-checkpoint", "t-0", "__cluster_metadata-0"} <= names
    assert {"00000000000000000000.log", "leader-epoch-checkpoint", "partition.metadata"} <= {
        p.name for p in (top / "t-0").iterdir()
    }
    assert (
        top / "t-0" / "partition.metadata"
    ).read_text() == "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw\n"
    assert (top / "t-0" / "leader-epoch-checkpoint").read_text() == "0\n1\n0 0\n"
    assert (top / "replication-offset-checkpoint").read_text() == "0\n1\nt 0 2\n"
    assert (
        top / "recovery-point-offset-checkpoint"
    ).read_text() == "0\n2\n__cluster_metadata 0 0\nt 0 3\n"
    assert files.read_properties(top / "meta.properties")["cluster.id"] == "cluster-a"
    assert (top / "__cluster_metadata-0" / "quorum-state").exists()


def test_that_a_stopped_directory_opens_with_everything(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    disk.save_high_watermarks({("t", 0): 2})
    disk.save_quorum_state({"leaderEpoch": 4})
    directory_id = disk.directory_id
    disk.close(clean=True)
    again = opened(tmp_path / "d")
    assert again.last_stop is LastStop.CLEAN
    assert [
        (log.topic, log.topic_id, log.partition, log.log_end_offset) for log in again.logs()
    ] == [("t", ID, 0, 3)]
    assert again.load_high_watermarks() == {("t", 0): 2}
    assert again.load_quorum_state() == {"leaderEpoch": 4}
    assert again.directory_id == directory_id
    again.close(clean=True)


def test_that_a_directory_is_refused_to_other_clusters_and_a_second_process(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    with pytest.raises(DirectoryRefused, match="in use"):
        opened(tmp_path / "d")
    disk.close(clean=True)
    with pytest.raises(
        DirectoryRefused, match="belongs to cluster cluster-a, but this is cluster cluster-b"
    ):
        opened(tmp_path / "d", cluster_id="cluster-b")
    with pytest.raises(DirectoryRefused, match="belongs to broker 1, but this is broker 2"):
        opened(tmp_path / "d", node_id=2)
    opened(tmp_path / "d").close(clean=True)


def test_that_only_a_registered_state_counts_as_clean(tmp_path: Path) -> None:
    """Unclean stays until a registration is committed, however often the broker starts
    meanwhile."""
    disk = opened(tmp_path / "d")
    assert not disk.was_clean  # a new disk was never registered
    disk.registered()
    fill(disk)
    disk.close(clean=False)
    disk = opened(tmp_path / "d")
    assert disk.last_stop is LastStop.KILLED and disk.was_clean
    disk.close(clean=False)
    disk = opened(tmp_path / "d", boot="boot-2")
    assert disk.last_stop is LastStop.CRASHED and not disk.was_clean
    disk.close(clean=False)
    disk = opened(tmp_path / "d", boot="boot-2")
    assert disk.last_stop is LastStop.KILLED and not disk.was_clean
    disk.close(clean=True)
    disk = opened(tmp_path / "d", boot="boot-2")
    assert disk.last_stop is LastStop.CLEAN and not disk.was_clean
    disk.registered()
    disk.close(clean=True)
    disk = opened(tmp_path / "d", boot="boot-3")
    assert disk.was_clean
    disk.close(clean=True)


def test_that_without_a_boot_id_every_kill_is_unclean(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d", boot="")
    disk.registered()
    disk.close(clean=False)
    disk = opened(tmp_path / "d", boot="")
    assert disk.last_stop is LastStop.CRASHED and not disk.was_clean
    disk.close(clean=False)


def test_that_a_damaged_batch_makes_a_kill_unclean_and_is_reported(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    disk.registered()
    fill(disk, count=5)
    disk.close(clean=False)
    path = tmp_path / "d" / "t-0" / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    disk = opened(tmp_path / "d")
    assert not disk.was_clean
    assert [log.log_end_offset for log in disk.logs()] == [4]
    assert disk.recovery_notes() == [
        "recovery cut off 81 bytes of t-0 from the first damaged batch"
    ]
    disk.close(clean=False)


def test_that_a_log_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    disk.registered()
    fill(disk)
    fill(disk, "u")
    disk.close(clean=False)
    (tmp_path / "d" / "t-0" / "partition.metadata").write_text("nonsense")
    disk = opened(tmp_path / "d")
    assert [log.topic for log in disk.logs()] == ["u"]
    assert not disk.was_clean
    assert len(list((tmp_path / "d").glob("t-0.*-stray"))) == 1
    disk.create_log("t", ID, 0)
    disk.close(clean=False)


def test_that_a_deleted_log_makes_room_for_one_of_the_same_name(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    log = disk.log("t", 0)
    assert log is not None
    kept = log.read(0, 1000, 3, True)
    expected = kept.tobytes()
    disk.delete_log(log)
    fresh = disk.create_log("t", UUID(int=8), 0)
    assert fresh.log_end_offset == 0
    assert kept.tobytes() == expected
    assert not list((tmp_path / "d").glob("*-delete"))
    disk.close(clean=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\x00b", "x" * 250, "ä"])
def test_row_44_that_a_topic_name_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    disk = opened(tmp_path / "d")
    with pytest.raises(StorageFailed):
        disk.create_log(name, ID, 0)
    disk.close(clean=True)


def test_that_checkpoints_hold_the_start_offsets(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    log = disk.log("t", 0)
    assert log is not None
    log.advance_start(2)
    disk.checkpoint()
    disk.close(clean=False)
    disk = opened(tmp_path / "d")
    assert [log.log_start_offset for log in disk.logs()] == [2]
    disk.close(clean=True)


def test_that_damaged_checkpoints_are_ignored(tmp_path: Path) -> None:
    for text in (
        "",
        "7\n",
        "0\nx\n",
        "0\n1\na b c\n",
        "0\n1\na 1\n",
        "0\n1\nt 0 -3\n",
        "0\n1\nt 0 ²\n",
        "0\n1\n² 0\n",
        "0\n2\nt 0 3\n",
        "0\n2\n1 0\n",
    ):
        (tmp_path / "f").write_text(text)
        assert files.read_offsets(tmp_path / "f") is None
        assert files.read_epochs(tmp_path / "f") is None


@pytest.mark.parametrize(
    "text", ["", "version=1\n", "cluster.id=cluster-a\nnode.id=1\ndirectory.id=?\n", None]
)
def test_that_a_directory_that_lost_its_identity_is_not_given_a_new_one(
    tmp_path: Path, text: str | None
) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    disk.close(clean=True)
    meta = tmp_path / "d" / "meta.properties"
    meta.unlink() if text is None else meta.write_text(text)
    with pytest.raises(DirectoryRefused, match="damaged or missing"):
        opened(tmp_path / "d")
    assert (tmp_path / "d" / "t-0").is_dir()


def test_that_a_log_that_is_set_aside_keeps_its_files(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    fill(disk)
    log = disk.log("t", 0)
    assert log is not None
    disk.set_aside(log)
    (stray,) = (tmp_path / "d").glob("t-0.*-stray")
    assert (stray / "00000000000000000000.log").stat().st_size > 0
    disk.create_log("t", UUID(int=8), 0)
    disk.close(clean=True)
    again = opened(tmp_path / "d")
    assert [(one.topic, one.topic_id) for one in again.logs()] == [("t", UUID(int=8))]
    again.close(clean=True)


@pytest.mark.parametrize(
    "content",
    [
        *(b"[]", b'"x"', b'{"leaderEpoch": "7"}', b'{"votedId": null}', b'{"leaderEp', b"\xff\xfe"),
        b'{"leaderEpoch": 6, "votedId": 2, "crc32c": 1}',
    ],
)
def test_that_a_damaged_quorum_state_counts_as_lost_and_is_kept(
    tmp_path: Path, content: bytes
) -> None:
    disk = opened(tmp_path / "d")
    path = tmp_path / "d" / "quorum-state"
    path.write_bytes(content)
    assert disk.load_quorum_state() == {}
    assert path.with_name("quorum-state.damaged").read_bytes() == content
    assert any(f"{path} is damaged" in note for note in disk.recovery_notes())
    disk.close(clean=True)


def test_that_a_changed_number_in_a_quorum_state_is_noticed(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    path = tmp_path / "d" / "quorum-state"
    disk.save_quorum_state({"leaderEpoch": 7, "votedId": 2})
    assert disk.load_quorum_state() == {"leaderEpoch": 7, "votedId": 2}
    path.write_text(path.read_text().replace("7", "5", 1))
    assert disk.load_quorum_state() == {}
    disk.close(clean=True)


def test_that_a_quorum_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    (tmp_path / "d" / "quorum-state").write_text('{"leaderEpoch": 7, "votedId": 2}')
    assert disk.load_quorum_state() == {"leaderEpoch": 7, "votedId": 2}
    disk.close(clean=True)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"cluster.id=a\n", b"node.id="])
def test_that_a_damaged_identity_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    opened(tmp_path / "d").close(clean=True)
    (tmp_path / "d" / "meta.properties").write_bytes(content)
    with pytest.raises(DirectoryRefused, match=r"damaged or missing.*Restore it, or empty"):
        opened(tmp_path / "d")


def test_that_a_log_is_created_over_what_a_crash_left_of_one(tmp_path: Path) -> None:
    disk = opened(tmp_path / "d")
    (tmp_path / "d" / "t-0").mkdir()  # killed before it had its identity
    (tmp_path / "d" / "t-1.0000-new").mkdir()
    fill(disk)
    assert [path.name[-6:] for path in (tmp_path / "d").glob("t-0.*")] == ["-stray"]
    disk.close(clean=True)
    again = opened(tmp_path / "d")
    log = again.log("t", 0)
    assert log is not None and log.log_end_offset == 3
    assert not list((tmp_path / "d").glob("*-new"))
    again.close(clean=True)


def test_that_a_creation_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = opened(tmp_path / "d")
    before = sorted(path.name for path in (tmp_path / "d").iterdir())

    def full(*_arguments: object, **_options: object) -> None:
        raise StorageFailed("no space left on device")

    module = "embedded_broker.shell.storage"
    for step in (f"{module}.files.write_whole", f"{module}.partition_log.DiskPartitionLog._begin"):
        with monkeypatch.context() as broken:
            broken.setattr(step, full)
            with pytest.raises(StorageFailed, match="no space"):
                disk.create_log("t", ID, 0)
        assert sorted(path.name for path in (tmp_path / "d").iterdir()) == before
    fill(disk)
    disk.close(clean=True)


@pytest.mark.parametrize("text", ["", "soon", "-5", "9" * 30, "²"])
def test_that_a_damaged_file_of_the_wall_clock_is_none(tmp_path: Path, text: str) -> None:
    disk = opened(tmp_path)
    disk.save_wall_ms(1_760_000_000_000)
    disk.close(clean=False)
    again = opened(tmp_path)
    assert again.load_wall_ms() == 1_760_000_000_000
    again.close(clean=False)
    (tmp_path / ".wall-clock").write_text(text)
    assert opened(tmp_path).load_wall_ms() == -1
