"""A broker's log directory: its partition logs, its identity, and how its previous process ended.

Files beside the logs, as Kafka has them: meta.properties, .lock, .kafka_cleanshutdown, the three
offset checkpoints, quorum-state (in ``__cluster_metadata-0``). Three are our own. Two hold the id
of a boot of the machine: ``.boot``, in which the previous process started, and ``.registered``, in
which the controller last committed a registration of this broker (decision 0014). ``.wall-clock``
holds the wall time by which records are deleted, as far as it is believed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID, uuid4

from embedded_broker.core.ports import LogDamaged, PartitionLog, StorageFailed
from embedded_broker.shell import platform
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.checkpoints import Checkpoint
from embedded_broker.shell.storage.identity import (
    IDENTITY,
    DirectoryRefused,
    decode_uuid,
    field_of,
    identify,
)
from embedded_broker.shell.storage.names import log_of, stem
from embedded_broker.shell.storage.partition_log import (
    INDEX_INTERVAL,
    UNFINISHED,
    DiskPartitionLog,
)
from embedded_broker.shell.storage.recovery import STRAY, LastStop, Trust
from embedded_broker.shell.storage.votes import Votes

HIGH_WATERMARKS = "replication-offset-checkpoint"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
START_OFFSETS = "log-start-offset-checkpoint"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
METADATA_LOG = "__cluster_metadata-0"
DELETE, LEAVING = "-delete", "-aside"
"""Ends of the names of folders of logs that are being deleted, and that become ``-stray``, as soon
as no checkpoint has them any more."""
PROBE = ".probe"
BOOT = ".boot"
REGISTERED = ".registered"
NO_LIMIT = 1 << 30
WALL_CLOCK = ".wall-clock"
TOPIC_NAME_MAX = 249
TOPIC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Background = Callable[[Callable[[], None]], None]
"""Does file work some time soon, outside of the event loop."""


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
        logs_most: int = NO_LIMIT,
    ) -> None:
        """Lock the directory, check its identity, recover its logs.

        ``cluster_id`` may be empty: a new directory then gets a new id. ``boot_id`` is the
        machine's by default. ``logs_most`` is how many logs may be open.

        Raises:
            DirectoryRefused: in use, of another cluster, or of another broker.
            StorageFailed: a file of it cannot be read or written.
        """
        self.path = path
        self.node_id = node_id
        self.background = background
        self.logs_most = logs_most
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
        self._logs: dict[tuple[str, int], DiskPartitionLog] = {}
        self.refused_logs: list[str] = []
        self._votes = Votes(path, path / METADATA_LOG)
        self._lost: set[tuple[str, int]] = set()
        """Partitions whose logs had records and are gone."""
        self._doomed: SimpleQueue[Path] = SimpleQueue()
        """Renamed folders that the background is to remove or to keep."""
        self._unlinked: SimpleQueue[Path] = SimpleQueue()
        """Renamed files that the background is to remove."""
        try:
            self.cluster_id, self._directory_id = identify(path, node_id, cluster_id)
            self.last_stop = self._last_stop()
            self._points_file = Checkpoint(path / RECOVERY_POINTS)
            self._starts_file = Checkpoint(path / START_OFFSETS)
            self._recovery_points = self._points_file.found
            self._high_watermarks = files.read_offsets(path / HIGH_WATERMARKS) or {}
            """What the three checkpoints hold, or will hold when the background has written it."""
            self._open_logs()
            self._was_clean = self._nothing_lost()
            # Before anything is written: a crash from here on must find the unclean state again,
            # or a second crash before the registration would count as clean.
            if not self._was_clean:
                (path / REGISTERED).unlink(missing_ok=True)
            (path / CLEAN_SHUTDOWN).unlink(missing_ok=True)
            # Durable, and with it the removals: after a power cut an old promise must not be there.
            files.write_whole(path / BOOT, self._boot, durable=True)
        except OSError as e:
            os.close(self._lock)
            raise StorageFailed(f"cannot open {path}: {e.strerror or e}") from e
        except BaseException:
            os.close(self._lock)
            raise

    # ---- start
    def _last_stop(self) -> LastStop:
        if (self.path / CLEAN_SHUTDOWN).exists():
            return LastStop.CLEAN
        started = files.read_rebuildable(self.path / BOOT)
        return LastStop.KILLED if started and started.strip() == self._boot else LastStop.CRASHED

    def _nothing_lost(self) -> bool:
        """Return whether no record appended since the last registration can be lost."""
        registered = files.read_rebuildable(self.path / REGISTERED)
        if registered is None or self.refused_logs or self._lost:
            return False
        if any(log.lost_records for log in self._logs.values()):
            return False
        # Without it, nothing says how far the logs have to reach.
        if self._recovery_points is None:
            return False
        # In the boot of the registration, the page cache has kept what the process wrote.
        same_boot = self._boot != "" and registered.strip() == self._boot
        return self.last_stop is LastStop.CLEAN or same_boot

    def _open_logs(self) -> None:
        """Open every log; set ``_lost`` and the logs' own findings."""
        started_ms = now_ms()
        gone: set[str] = set()
        """Starts of the names of logs that the previous process deleted or set aside."""
        for directory in sorted(self.path.iterdir()):
            if not directory.is_dir():
                continue
            if directory.name.endswith((DELETE, LEAVING, UNFINISHED)):
                self._doomed.put(directory)
                gone.add(directory.name.rpartition(".")[0])
                continue
            key = log_of(directory.name)
            if key is None or not (directory / IDENTITY).exists():
                continue
            try:
                self._logs[key] = self._open_log(directory, key, started_ms)
            except (LogDamaged, ValueError) as e:
                # One bad partition must not keep the broker from serving the others: set it
                # aside, and fetch it from its leader like a new one.
                self.refused_logs.append(f"{directory.name}: {e}")
                if directory.name == METADATA_LOG:
                    self._votes.leave_folder()
                directory.rename(directory.with_name(f"{stem(*key)}.{uuid4().hex}{STRAY}"))
                self._lost.add(key)
        self._compare_ends(gone)
        most = self._starts_file.most
        # Of a log that has lost its end, to hide nothing new; and always, so that a file that is
        # not there is known to be lost.
        too_high = any(most(key) > log.log_start_offset for key, log in self._logs.items())
        if too_high or self._starts_file.found is None:
            self._write_start_offsets()
        left_over = [path for log in self._logs.values() for path in log.left_over]
        if left_over:
            self._remove(left_over)
        self._remove_doomed_soon()

    def _open_log(self, directory: Path, key: tuple[str, int], started_ms: int) -> DiskPartitionLog:
        """Raises: StorageFailed, LogDamaged, ValueError (its identity is damaged)."""
        identity = files.read_rebuildable(directory / IDENTITY) or ""
        metadata = directory.name == METADATA_LOG
        log = DiskPartitionLog.open(
            directory,
            key[0],
            decode_uuid(field_of(identity, "topic_id")),
            key[1],
            self._remove,
            Trust(
                self.last_stop,
                (self._recovery_points or {}).get(key, 0),
                INDEX_INTERVAL,
                unread=not metadata,
            ),
            None if self._starts_file.found is None else self._starts_file.most(key),
            started_ms,
        )
        log.before_cut = partial(self._before_cut, key)
        if metadata and log.damage:
            raise LogDamaged(log.damage)  # without its beginning it says nothing
        return log

    def _compare_ends(self, gone: Collection[str]) -> None:
        """Find logs that do not reach what their checkpoints say was there, and drop the logs that
        were deleted from the checkpoints."""
        for checkpoint in (self._recovery_points or {}, self._high_watermarks):
            for key, offset in list(checkpoint.items()):
                log = self._logs.get(key)
                if stem(*key) in gone:
                    del checkpoint[key]
                elif log is not None:
                    log.lost_records |= log.log_end_offset < offset
                elif offset:
                    self._lost.add(key)

    def _before_cut(self, key: tuple[str, int], unsynced: int, end: int) -> None:
        """Lower the checkpoints of a log that is about to end at ``end`` and is not on the disk
        from ``unsynced`` on. A start must neither believe that what is appended there later is on
        the disk, nor hide it as deleted. Raises: StorageFailed."""
        if (self._recovery_points or {}).get(key, 0) > unsynced:
            self._lower_recovery_points(key, unsynced)
        if self._points_file.most(key) > unsynced:
            self._write_recovery_points()
        if self._starts_file.most(key) > end:
            self._write_start_offsets()

    def _lower_recovery_points(self, key: tuple[str, int], offset: int) -> None:
        """Lower this one, and those of all logs to their newest segments, which a start reads in
        any case after a crash: of a thousand logs that are cut, only the first costs a flush."""
        lowered = dict(self._recovery_points or {})
        for other, log in self._logs.items():
            if other in lowered:
                lowered[other] = min(lowered[other], log.newest_segment_offset)
        self._recovery_points = lowered | {key: min(offset, lowered[key])}

    def _write_recovery_points(self) -> None:
        """Write the newest ones; also called in the background. Raises: StorageFailed."""
        self._points_file.write(lambda: self._recovery_points or {})

    def _write_start_offsets(self) -> None:
        """Write those of now; also called in the background. Raises: StorageFailed."""
        self._starts_file.write(self._start_offsets)

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
        if directory.name == METADATA_LOG:
            self._votes.leave_folder()
        self._before_cut((topic, partition), 0, 0)  # what a deleted log of this name left
        log = DiskPartitionLog.create(directory, topic, topic_id, partition, self._remove, now_ms())
        log.before_cut = partial(self._before_cut, (topic, partition))
        log.lost_records = (topic, partition) in self._lost
        self._lost.discard((topic, partition))
        self._logs[topic, partition] = log
        if directory.name == METADATA_LOG:
            self._votes.folder_made()
        return log

    def delete_log(self, log: PartitionLog) -> None:
        found = self._logs[log.topic, log.partition]
        # Renamed first, which is one step: a crash in between leaves a folder that the next start
        # removes, and the topic can be created again at once.
        self._doomed.put(self._rename(found, DELETE))
        self._remove_doomed_soon()

    def set_aside(self, log: PartitionLog) -> None:
        self._doomed.put(self._rename(self._logs[log.topic, log.partition], LEAVING))
        self._remove_doomed_soon()

    def _rename(self, log: DiskPartitionLog, why: str) -> Path:
        """Take a log out of use under a name that no start takes for a log; return its folder."""
        key = log.topic, log.partition
        renamed = self.path / f"{stem(*key)}.{uuid4().hex}{why}"
        try:
            log.directory.rename(renamed)
        except OSError as e:
            raise StorageFailed(f"cannot rename {log.directory}: {e.strerror or e}") from e
        del self._logs[key]
        # In place, which is safe: what writes them in the background sorts a copy.
        for offsets in (self._recovery_points, self._high_watermarks):
            if offsets is not None:
                offsets.pop(key, None)
        log.release()
        return renamed

    def _remove_doomed_soon(self) -> None:
        """Remove the renamed folders in the background, or rename them once more to be kept."""

        def work() -> None:
            doomed = _drained(self._doomed)
            if not doomed:
                return
            # First: without the folder, a checkpoint that has the log would show it as lost.
            self._write_checkpoints()
            for directory in doomed:
                if directory.name.endswith(LEAVING):
                    directory.rename(directory.with_name(directory.name[: -len(LEAVING)] + STRAY))
                else:
                    shutil.rmtree(directory, ignore_errors=True)

        self.background(work)

    def _write_checkpoints(self) -> None:
        """Write the three checkpoints. Called in the background. Raises: StorageFailed."""
        if self._recovery_points is not None:
            self._write_recovery_points()
        files.write_offsets(self.path / HIGH_WATERMARKS, self._high_watermarks)
        self._write_start_offsets()

    def _remove(self, paths: list[Path]) -> None:
        """Remove files of deleted segments in the background."""
        for path in paths:
            self._unlinked.put(path)

        def work() -> None:
            paths = _drained(self._unlinked)
            if not paths:
                return
            # First: a log that begins above its checkpoint has lost segments.
            self._write_start_offsets()
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
        return dict(self._high_watermarks)

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        self._high_watermarks = dict(values)
        path = self.path / HIGH_WATERMARKS
        self.background(lambda: files.write_offsets(path, self._high_watermarks))

    def checkpoint(self) -> None:
        """Write recovery points and start offsets that have changed; the runner calls it
        periodically."""
        recovery_points = self._points()
        if recovery_points != self._recovery_points:
            self._recovery_points = recovery_points
            self.background(self._write_recovery_points)
        if not self._starts_file.has(self._start_offsets()):
            self.background(self._write_start_offsets)

    def _points(self) -> dict[tuple[str, int], int]:
        return {key: log.recovery_point() for key, log in self._logs.items()}

    def _start_offsets(self) -> dict[tuple[str, int], int]:
        """Start offsets other than 0, which is the default of the file. Also called in the
        background."""
        return {
            key: log.log_start_offset
            for key, log in list(self._logs.items())
            if log.log_start_offset
        }

    def load_wall_ms(self) -> int:
        found = files.natural((files.read_rebuildable(self.path / WALL_CLOCK) or "").strip())
        return -1 if found is None else found

    def save_wall_ms(self, wall_ms: int) -> None:
        path = self.path / WALL_CLOCK
        self.background(lambda: files.write_whole(path, f"{wall_ms}\n", durable=False))

    def load_quorum_state(self) -> dict[str, Any]:
        return self._votes.load()

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        self._votes.save(state)

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
        if self._votes.damage:
            notes.append(f"{self._votes.damage}; its votes count only where all agree, for now")
        for topic, partition in sorted(self._lost):
            notes.append(f"the log {topic}-{partition} is missing")
        for log in self._logs.values():
            name = f"{log.topic}-{log.partition}"
            if log.damage:
                notes.append(f"the log {name} is damaged: {log.damage}")
            if log.lost_records and not log.damage and not log.was_corrupt:
                notes.append(f"the log {name} ends before records that once were on the disk")
            if log.cut_bytes:
                kind = "damaged" if log.was_corrupt else "incomplete"
                notes.append(
                    f"recovery cut off {log.cut_bytes} bytes of {name} from the first {kind} batch"
                )
        return notes

    def registered(self) -> None:
        self._recovery_points = self._points()  # of what is here, which has been registered
        self._write_recovery_points()
        files.write_whole(self.path / REGISTERED, self._boot, durable=True)

    def total_bytes(self) -> tuple[int, int]:
        usage = shutil.disk_usage(self.path)
        return usage.total, usage.free

    def flush_failed(self) -> None:
        """A flush failed, so the kernel may have dropped what it could not write: the next start
        must believe neither that this process was only killed nor that nothing is lost."""
        for name in (REGISTERED, BOOT):
            with suppress(OSError):
                (self.path / name).unlink(missing_ok=True)

    def close(self, clean: bool) -> None:
        """Unlock the directory. With ``clean``, flush everything first and mark it as shut down.

        Raises:
            OSError, StorageFailed: the disk failed; the directory is not marked.
        """
        if clean:
            try:
                self._flush()
            except OSError:
                self.flush_failed()
                raise
            recovery_points, start_offsets = self._points(), self._start_offsets()
            for log in self._logs.values():
                log.close()
            files.write_offsets(self.path / RECOVERY_POINTS, recovery_points)
            files.write_offsets(self.path / START_OFFSETS, start_offsets)
            # Last: the mark promises that all of the above is on the disk.
            files.write_whole(
                self.path / CLEAN_SHUTDOWN, '{"version":0,"brokerEpoch":-1}', durable=True
            )
        os.close(self._lock)

    def _flush(self) -> None:
        """Write all logs to the disk. Raises: OSError."""
        for log in self._logs.values():
            for segment, file, size in log.unflushed():
                file.sync()
                segment.flushed_size = size


def _drained(queue: SimpleQueue[Path]) -> list[Path]:
    """Take everything out of a queue."""
    taken = []
    with suppress(Empty):
        while True:
            taken.append(queue.get_nowait())
    return taken
