"""A broker's log directory: its partition logs, its identity, and how its previous process ended.

Files beside the logs, as Kafka has them: meta.properties, .lock, .kafka_cleanshutdown, the three
offset checkpoints, quorum-state (in ``__cluster_metadata-0``). Two are our own and hold the id of
a boot of the machine: ``.boot``, in which the previous process started, and ``.registered``, in
which the controller last committed a registration of this broker (decision 0014).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.partition_log import (
    IDENTITY,
    UNFINISHED,
    DiskPartitionLog,
    decode_uuid,
    encode_uuid,
)
from embedded_broker.shell.storage.recovery import LastStop

HIGH_WATERMARKS = "replication-offset-checkpoint"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
START_OFFSETS = "log-start-offset-checkpoint"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
META = "meta.properties"
METADATA_LOG = "__cluster_metadata-0"
QUORUM_STATE = "quorum-state"
PROBE = ".probe"
BOOT = ".boot"
REGISTERED = ".registered"
TOPIC_NAME_MAX = 249
TOPIC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Background = Callable[[Callable[[], None]], None]
"""Does file work some time soon, outside of the event loop."""


class DirectoryRefused(Exception):
    """The log directory cannot be used; the text is a sentence for the operator."""


def now_ms() -> int:
    """Wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


def run_now(work: Callable[[], None]) -> None:
    """A ``Background`` without a thread: for a broker that has not started, or has stopped."""
    work()


class LogDirectory:
    """The Disk port of ``core.ports``. Used from the broker's loop; file work that nobody waits
    for goes to ``background``."""

    def __init__(
        self,
        path: Path,
        node_id: int,
        cluster_id: str,
        background: Background = run_now,
        boot_id: str | None = None,
    ) -> None:
        """Lock the directory, check its identity, recover its logs.

        ``cluster_id`` may be empty: a new directory then gets a new id. ``boot_id`` is the
        machine's by default.

        Raises:
            DirectoryRefused: in use, of another cluster, or of another broker.
            StorageFailed: a file of it cannot be read or written.
        """
        self.path = path
        self.node_id = node_id
        self.background = background
        self._boot = platform.boot_id() if boot_id is None else boot_id
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = platform.lock_file(path / ".lock")
        except platform.InUse:
            raise DirectoryRefused(
                f"the data directory {path} is in use by another running broker"
            ) from None
        except OSError as e:
            raise DirectoryRefused(
                f"the data directory {path} cannot be used: {e.strerror or e}"
            ) from e
        try:
            self.cluster_id, self._directory_id = self._identify(cluster_id)
            self.last_stop = self._last_stop()
            self._logs: dict[tuple[str, int], DiskPartitionLog] = {}
            self.refused_logs: list[str] = []
            self._open_logs()
            self._was_clean = self._nothing_lost()
            # Before anything is written: a crash from here on must find the unclean state again,
            # or a second crash before the registration would count as clean.
            if not self._was_clean:
                (path / REGISTERED).unlink(missing_ok=True)
            (path / CLEAN_SHUTDOWN).unlink(missing_ok=True)
            # Durable, and with it the removals: after a power cut an old promise must not be there.
            files.write_whole(path / BOOT, self._boot, durable=True)
        except BaseException:
            os.close(self._lock)
            raise
        self._saved_recovery_points: dict[tuple[str, int], int] = {}
        self._saved_start_offsets: dict[tuple[str, int], int] = {}

    # ---- start
    def _identify(self, cluster_id: str) -> tuple[str, UUID]:
        """(cluster id, directory id) from meta.properties, which a new directory gets now."""
        meta = files.read_properties(self.path / META)
        if meta or (self.path / META).exists() or any(self.path.glob(f"*/{IDENTITY}")):
            self._check_identity(meta)
            owner, node = meta.get("cluster.id", ""), meta.get("node.id", meta.get("broker.id", ""))
            if cluster_id and owner != cluster_id:
                raise DirectoryRefused(
                    f"the data directory {self.path} belongs to cluster {owner}, "
                    f"but this is cluster {cluster_id}"
                )
            if node != str(self.node_id):
                raise DirectoryRefused(
                    f"the data directory {self.path} belongs to broker {node}, "
                    f"but this is broker {self.node_id}"
                )
            return owner, decode_uuid(meta["directory.id"])
        owner = cluster_id or encode_uuid(uuid4())
        directory_id = uuid4()
        values = {
            "version": "1",
            "cluster.id": owner,
            "node.id": str(self.node_id),
            "directory.id": encode_uuid(directory_id),
        }
        files.write_properties(self.path / META, values)
        return owner, directory_id

    def _check_identity(self, meta: Mapping[str, str]) -> None:
        """Refuse a directory whose identity is lost: with a new one its broker would be another,
        and the replicas in it would count as whole."""
        try:
            decode_uuid(meta.get("directory.id", ""))
            damaged = not meta.get("cluster.id")
        except ValueError:
            damaged = True
        if damaged:
            raise DirectoryRefused(
                f"{self.path / META} is damaged or missing: it must name the cluster.id, node.id "
                "and directory.id of the data beside it. Restore it, or empty the directory: the "
                "broker then fetches everything again"
            )

    def _last_stop(self) -> LastStop:
        if (self.path / CLEAN_SHUTDOWN).exists():
            return LastStop.CLEAN
        started = files.read_text(self.path / BOOT)
        return LastStop.KILLED if started and started.strip() == self._boot else LastStop.CRASHED

    def _nothing_lost(self) -> bool:
        """Return whether no record appended since the last registration can be lost."""
        registered = files.read_text(self.path / REGISTERED)
        if registered is None or self.refused_logs:
            return False
        if any(log.was_corrupt for log in self._logs.values()):
            return False
        # In the boot of the registration, the page cache has kept what the process wrote.
        same_boot = self._boot != "" and registered.strip() == self._boot
        return self.last_stop is LastStop.CLEAN or same_boot

    def _open_logs(self) -> None:
        recovery_points = files.read_offsets(self.path / RECOVERY_POINTS)
        start_offsets = files.read_offsets(self.path / START_OFFSETS)
        started_ms = now_ms()
        deleted = []
        for directory in sorted(self.path.iterdir()):
            if not directory.is_dir():
                continue
            if directory.name.endswith(("-delete", UNFINISHED)):
                deleted.append(directory)
                continue
            topic, _, number = directory.name.rpartition("-")
            identity = directory / IDENTITY
            if not topic or not number.isdigit() or not identity.exists():
                continue
            key = (topic, int(number))
            try:
                topic_id = decode_uuid(_field(files.read_text(identity) or "", "topic_id"))
                log = DiskPartitionLog.open(
                    directory,
                    topic,
                    topic_id,
                    key[1],
                    self._remove,
                    self.last_stop,
                    recovery_points.get(key, 0),
                    start_offsets.get(key, 0),
                    started_ms,
                )
            except (StorageFailed, ValueError) as e:
                # One bad partition must not keep the broker from serving the others: set it
                # aside, and fetch it from its leader like a new one.
                self.refused_logs.append(f"{directory.name}: {e}")
                directory.rename(directory.with_name(f"{directory.name}.{uuid4().hex}-stray"))
                continue
            self._logs[key] = log
        if deleted:
            self.background(lambda: _remove_trees(deleted))

    # ---- logs
    def logs(self) -> Iterable[PartitionLog]:
        return list(self._logs.values())

    def log(self, topic: str, partition: int) -> DiskPartitionLog | None:
        return self._logs.get((topic, partition))

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> DiskPartitionLog:
        # The controller checks names too; here a name becomes a path.
        if (
            not topic
            or len(topic) > TOPIC_NAME_MAX
            or topic in (".", "..")
            or not TOPIC_CHARACTERS.issuperset(topic)
        ):
            raise StorageFailed(f"invalid topic name {topic!r}")
        assert (topic, partition) not in self._logs, "the log exists already"
        directory = self.path / f"{topic}-{partition}"
        log = DiskPartitionLog.create(directory, topic, topic_id, partition, self._remove, now_ms())
        self._logs[topic, partition] = log
        return log

    def delete_log(self, log: PartitionLog) -> None:
        found = self._logs[log.topic, log.partition]
        # Renamed first, which is one step: a crash in between leaves a folder that the next start
        # removes, and the topic can be created again at once.
        renamed = self._rename(found, "delete")
        self.background(lambda: shutil.rmtree(renamed, ignore_errors=True))

    def set_aside(self, log: PartitionLog) -> None:
        self._rename(self._logs[log.topic, log.partition], "stray")

    def _rename(self, log: DiskPartitionLog, why: str) -> Path:
        """Take a log out of use under a name that no start takes for a log; return its folder."""
        renamed = self.path / f"{log.topic[:180]}-{log.partition}.{uuid4().hex}-{why}"
        try:
            log.directory.rename(renamed)
        except OSError as e:
            raise StorageFailed(f"cannot rename {log.directory}: {e.strerror or e}") from e
        del self._logs[log.topic, log.partition]
        log.release()
        return renamed

    def _remove(self, paths: list[Path]) -> None:
        """Remove files of deleted segments in the background."""

        def work() -> None:
            for path in paths:
                path.unlink(missing_ok=True)

        self.background(work)

    def probe(self) -> None:
        path = self.path / PROBE
        files.write_whole(path, f"{now_ms()}\n", durable=True)
        try:
            path.unlink()
        except OSError as e:
            raise StorageFailed(f"cannot delete {path}: {e.strerror or e}") from e

    # ---- checkpoints
    def load_high_watermarks(self) -> dict[tuple[str, int], int]:
        return files.read_offsets(self.path / HIGH_WATERMARKS)

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        snapshot = dict(values)
        self.background(lambda: files.write_offsets(self.path / HIGH_WATERMARKS, snapshot))

    def checkpoint(self) -> None:
        """Write recovery points and start offsets that have changed; the runner calls it
        periodically."""
        recovery_points, start_offsets = self._recovery_points(), self._start_offsets()
        if recovery_points != self._saved_recovery_points:
            self._saved_recovery_points = recovery_points
            path = self.path / RECOVERY_POINTS
            self.background(lambda: files.write_offsets(path, recovery_points))
        if start_offsets != self._saved_start_offsets:
            self._saved_start_offsets = start_offsets
            self.background(lambda: files.write_offsets(self.path / START_OFFSETS, start_offsets))

    def _recovery_points(self) -> dict[tuple[str, int], int]:
        return {key: log.recovery_point() for key, log in self._logs.items()}

    def _start_offsets(self) -> dict[tuple[str, int], int]:
        """Start offsets other than 0, which is the default of the file."""
        return {
            key: log.log_start_offset for key, log in self._logs.items() if log.log_start_offset
        }

    # The quorum state is written before the metadata log exists, then moves into its folder, where
    # Kafka has it.
    def load_quorum_state(self) -> dict[str, Any]:
        text = files.read_text(self.path / METADATA_LOG / QUORUM_STATE) or files.read_text(
            self.path / QUORUM_STATE
        )
        if not text:
            return {}
        try:
            state = json.loads(text)
        except ValueError as e:
            raise StorageFailed(f"cannot read {self.path / QUORUM_STATE}: {e}") from e
        numbers = ("leaderId", "leaderEpoch", "votedId", "lives")
        if not isinstance(state, dict) or not all(type(state.get(n, 0)) is int for n in numbers):
            raise StorageFailed(f"{self.path / QUORUM_STATE} is damaged: {text[:100]!r}")
        return state

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        folder = self.path / METADATA_LOG
        target = folder if folder.is_dir() else self.path
        files.write_whole(target / QUORUM_STATE, json.dumps(state), durable=True)
        if target is folder:
            (self.path / QUORUM_STATE).unlink(missing_ok=True)

    # ---- identity, stop
    @property
    def directory_id(self) -> UUID:
        return self._directory_id

    @property
    def was_clean(self) -> bool:
        return self._was_clean

    def recovery_notes(self) -> list[str]:
        """Lines for the broker's log: which logs recovery cut off or set aside, and why."""
        notes = [f"recovery set aside the log {text}" for text in self.refused_logs]
        for log in self._logs.values():
            if log.cut_bytes:
                kind = "damaged" if log.was_corrupt else "incomplete"
                notes.append(
                    f"recovery cut off {log.cut_bytes} bytes of {log.topic}-{log.partition} "
                    f"from the first {kind} batch"
                )
        return notes

    def registered(self) -> None:
        files.write_whole(self.path / REGISTERED, self._boot, durable=True)

    def total_bytes(self) -> tuple[int, int]:
        usage = shutil.disk_usage(self.path)
        return usage.total, usage.free

    def close(self, clean: bool) -> None:
        """Unlock the directory. With ``clean``, flush everything first and mark it as shut down.

        Raises:
            OSError, StorageFailed: the disk failed; the directory is not marked.
        """
        if clean:
            for log in self._logs.values():
                for segment, file, size in log.unflushed():
                    platform.fdatasync(file.fd)
                    segment.flushed_size = size
            recovery_points, start_offsets = self._recovery_points(), self._start_offsets()
            for log in self._logs.values():
                log.close()
            files.write_offsets(self.path / RECOVERY_POINTS, recovery_points)
            files.write_offsets(self.path / START_OFFSETS, start_offsets)
            # Last: the mark promises that all of the above is on the disk.
            files.write_whole(
                self.path / CLEAN_SHUTDOWN, '{"version":0,"brokerEpoch":-1}', durable=True
            )
        os.close(self._lock)


def _remove_trees(directories: list[Path]) -> None:
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    raise ValueError(f"no {name}")


def new_cluster_id() -> str:
    """Return 16 random bytes as Kafka writes an id; not one that looks like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
