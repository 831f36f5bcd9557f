"""A broker's log directory: its partition logs, its identity, and how its last process left it.

Files beside the logs, as Kafka has them: meta.properties, .lock, .kafka_cleanshutdown, the three
offset checkpoints, quorum-state (in ``__cluster_metadata-0``). Our own: ``.boot``, the machine's
boot in which the last process started, and ``.registered``, the boot in which the cluster last
knew the state of this directory.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.partition_log import (
    IDENTITY,
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
TOPIC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Background = Callable[[Callable[[], None]], None]
"""Runs a piece of file work some time soon, off the loop."""


class DirectoryRefused(Exception):
    """This log directory cannot be used; the text is a sentence for the operator."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def run_now(work: Callable[[], None]) -> None:
    work()


class LogDirectory:
    """See ``core.ports.Disk``. Used from the broker's loop; file work that may wait goes to
    ``background``."""

    def __init__(
        self,
        path: Path,
        node_id: int,
        cluster_id: str,
        background: Background = run_now,
        boot_id: str | None = None,
    ) -> None:
        """Lock the directory, check whose it is, recover its logs.

        Raises:
            DirectoryRefused: in use, another cluster's or another broker's.
            StorageFailed.
        """
        self.path = path
        self.node_id = node_id
        self.background = background
        self._boot = platform.boot_id() if boot_id is None else boot_id
        try:
            path.mkdir(parents=True, exist_ok=True)
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
            self.last_stop = self._how_it_stopped()
            self._logs: dict[tuple[str, int], DiskPartitionLog] = {}
            self.refused_logs: list[str] = []
            self._open_logs()
            self._was_clean = self._judge()
            if not self._was_clean:
                (path / ".registered").unlink(missing_ok=True)
            (path / CLEAN_SHUTDOWN).unlink(missing_ok=True)
            files.write_whole(path / ".boot", self._boot, durable=False)
        except BaseException:
            os.close(self._lock)
            raise
        self._saved_points: dict[tuple[str, int], int] = {}
        self._saved_starts: dict[tuple[str, int], int] = {}

    # ---- start
    def _identify(self, cluster_id: str) -> tuple[str, UUID]:
        meta = files.read_properties(self.path / META)
        if meta:
            owner, node = meta.get("cluster.id", ""), meta.get("node.id", meta.get("broker.id", ""))
            if cluster_id and owner != cluster_id:
                raise DirectoryRefused(
                    f"the data directory {self.path} belongs to cluster {owner}, and this is cluster {cluster_id}"
                )
            if node != str(self.node_id):
                raise DirectoryRefused(
                    f"the data directory {self.path} belongs to broker {node}, and this is broker {self.node_id}"
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

    def _how_it_stopped(self) -> LastStop:
        if (self.path / CLEAN_SHUTDOWN).exists():
            return LastStop.CLEAN
        started = files.read_text(self.path / ".boot")
        return LastStop.KILLED if started and started.strip() == self._boot else LastStop.CRASHED

    def _judge(self) -> bool:
        """Whether nothing appended can be lost, and the cluster knew the state before that."""
        known = files.read_text(self.path / ".registered")
        if (
            known is None
            or any(log.was_corrupt for log in self._logs.values())
            or self.refused_logs
        ):
            return False
        return self.last_stop is LastStop.CLEAN or (
            self._boot != "" and known.strip() == self._boot
        )

    def _open_logs(self) -> None:
        points = files.read_offsets(self.path / RECOVERY_POINTS)
        starts = files.read_offsets(self.path / START_OFFSETS)
        started_ms = now_ms()
        doomed = []
        for directory in sorted(self.path.iterdir()):
            if not directory.is_dir():
                continue
            if directory.name.endswith("-delete"):
                doomed.append(directory)
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
                    points.get(key, 0),
                    starts.get(key, 0),
                    started_ms,
                )
            except (StorageFailed, ValueError) as e:
                # One bad partition must not keep the others from being served; it is fetched
                # again as new.
                self.refused_logs.append(f"{directory.name}: {e}")
                directory.rename(directory.with_name(f"{directory.name}.{uuid4().hex}-stray"))
                continue
            self._logs[key] = log
        if doomed:
            self.background(lambda: _remove_trees(doomed))

    # ---- logs
    def logs(self) -> Iterable[PartitionLog]:
        return list(self._logs.values())

    def log(self, topic: str, partition: int) -> DiskPartitionLog | None:
        return self._logs.get((topic, partition))

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> DiskPartitionLog:
        if (
            not topic
            or len(topic) > 249
            or topic in (".", "..")
            or not TOPIC_CHARACTERS.issuperset(topic)
        ):
            raise StorageFailed(f"{topic!r} is no name for a topic")
        assert (topic, partition) not in self._logs, "a log that is there already"
        directory = self.path / f"{topic}-{partition}"
        log = DiskPartitionLog.create(directory, topic, topic_id, partition, self._remove, now_ms())
        self._logs[topic, partition] = log
        return log

    def delete_log(self, log: PartitionLog) -> None:
        found = self._logs.pop((log.topic, log.partition))
        doomed = self.path / f"{log.topic[:180]}-{log.partition}.{uuid4().hex}-delete"
        try:
            found.directory.rename(doomed)
        except OSError as e:
            raise StorageFailed(f"cannot delete {found.directory}: {e.strerror or e}") from e
        found.release()
        self.background(lambda: shutil.rmtree(doomed, ignore_errors=True))

    def _remove(self, paths: list[Path]) -> None:
        def work() -> None:
            for path in paths:
                path.unlink(missing_ok=True)

        self.background(work)

    # ---- checkpoints
    def load_high_watermarks(self) -> dict[tuple[str, int], int]:
        return files.read_offsets(self.path / HIGH_WATERMARKS)

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        snapshot = dict(values)
        self.background(lambda: files.write_offsets(self.path / HIGH_WATERMARKS, snapshot))

    def checkpoint(self) -> None:
        """Write recovery points and start offsets if they moved; called now and then by the
        shell."""
        points = {key: log.recovery_point() for key, log in self._logs.items()}
        starts = {
            key: log.log_start_offset for key, log in self._logs.items() if log.log_start_offset
        }
        if points != self._saved_points:
            self._saved_points = points
            self.background(lambda: files.write_offsets(self.path / RECOVERY_POINTS, points))
        if starts != self._saved_starts:
            self._saved_starts = starts
            self.background(lambda: files.write_offsets(self.path / START_OFFSETS, starts))

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
        return state if isinstance(state, dict) else {}

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
        """What recovery had to cut off or refuse, a line each."""
        notes = [f"the log {text} was set aside" for text in self.refused_logs]
        for log in self._logs.values():
            if log.cut_bytes:
                why = "a damaged batch" if log.was_corrupt else "an incomplete batch"
                notes.append(
                    f"{log.topic}-{log.partition}: {log.cut_bytes} bytes from {why} on were cut off"
                )
        return notes

    def registered(self) -> None:
        files.write_whole(self.path / ".registered", self._boot, durable=True)

    def total_bytes(self) -> tuple[int, int]:
        usage = shutil.disk_usage(self.path)
        return usage.total, usage.free

    def close(self, clean: bool) -> None:
        """Give the directory back; ``clean`` says that everything was flushed and the end is
        orderly."""
        if clean:
            for log in self._logs.values():
                for segment, file, size in log.unflushed():
                    platform.fdatasync(file.fd)
                    segment.flushed_size = size
            points = {key: log.recovery_point() for key, log in self._logs.items()}
            starts = {
                key: log.log_start_offset for key, log in self._logs.items() if log.log_start_offset
            }
            for log in self._logs.values():
                log.close()
            files.write_offsets(self.path / RECOVERY_POINTS, points)
            files.write_offsets(self.path / START_OFFSETS, starts)
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
    """Sixteen random bytes, as Kafka writes them, and not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
