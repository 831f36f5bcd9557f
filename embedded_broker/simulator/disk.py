"""A simulated node's disk: what is written, what is durable, and what a power cut leaves.

A ``Platter`` is the hardware and outlives the processes of its node; a ``SimDisk`` is the view of
one process. A kill keeps everything, because the page cache outlives a process. A power cut leaves
of the logs what ``SimLog`` says; small files (epochs, high watermarks, log start) come back as
written or as last flushed. The quorum state is durable when ``save_quorum_state`` returns.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.simulator.log import SimLog
from kafka_protocol.records.batch import BatchHeader

Later = Callable[[int, Callable[[], None]], None]
"""Does work of a process after a delay in milliseconds, unless the process has ended by then."""


class Platter:
    """The hardware of a node's disk: logs, files, and its faults.

    ``full`` makes appends fail, ``failing`` every access, until the nemesis clears them.
    """

    def __init__(self, directory_id: UUID, capacity_bytes: int = 1 << 40) -> None:
        self.directory_id = directory_id
        self.logs: dict[tuple[str, UUID, int], SimLog] = {}
        self.high_watermarks: dict[tuple[str, int], int] = {}
        self.durable_high_watermarks: dict[tuple[str, int], int] = {}
        self.quorum_state: dict[str, Any] = {}
        self.wall_ms = -1
        self.logs_most = 1 << 30
        self.capacity_bytes = capacity_bytes
        self.unclean = True
        """Whether an appended record may be lost; set until a registration is committed."""
        self.full = False
        self.failing = False
        self.on_append: Callable[[SimLog, BatchHeader, bytes], None] | None = None

    def check_write(self, log: SimLog, grows: int) -> None:
        """Raises: StorageFailed: the disk fails, or is full and ``grows`` is not 0."""
        if self.failing:
            raise StorageFailed(f"{log.topic}-{log.partition}: input/output error")
        if self.full and grows:
            raise StorageFailed(f"{log.topic}-{log.partition}: no space left on device")

    def check_read(self, log: SimLog) -> None:
        """Raises: StorageFailed: the disk fails."""
        if self.failing:
            raise StorageFailed(f"{log.topic}-{log.partition}: input/output error")

    def open(self, later: Later) -> SimDisk:
        """The disk as a new process of the node finds it. Raises: StorageFailed."""
        return SimDisk(self)

    def process_ended(self, rng: random.Random, power: bool, clean: bool = False) -> int:
        """Apply the end of the node's process: by a power cut, ``clean`` after it has shut down in
        order, or killed; returns the number of lost batches."""
        lost = 0
        for log in self.logs.values():
            log.forget_process()
            if power:
                lost += log.lose_power(rng)
            else:
                log.recover(rng)
        if power and rng.random() < 0.5:
            self.high_watermarks = dict(self.durable_high_watermarks)
        self.unclean = self.unclean or power
        return lost


class SimDisk:
    """The Disk port of ``core.ports`` for one process. Once ``closed``, every use is an error: a
    dead process writes nothing."""

    def __init__(self, platter: Platter) -> None:
        self.platter = platter
        self.was_clean = not platter.unclean
        self.logs_most = platter.logs_most
        self.closed = False

    def _open(self) -> Platter:
        assert not self.closed, "a dead process uses its disk"
        return self.platter

    def logs(self) -> Iterable[SimLog]:
        logs = self._open().logs
        return [logs[key] for key in sorted(logs, key=lambda k: (k[0], k[1].int, k[2]))]

    def create_log(self, topic: str, topic_id: UUID, partition: int) -> SimLog:
        platter = self._open()
        key = (topic, topic_id, partition)
        assert key not in platter.logs, f"the log of {topic}-{partition} exists"
        log = SimLog(platter, topic, topic_id, partition)
        platter.check_write(log, 1)
        platter.logs[key] = log
        return log

    def delete_log(self, log: PartitionLog) -> None:
        self._check_write(f"{log.topic}-{log.partition}", grows=False)
        del self._open().logs[(log.topic, log.topic_id, log.partition)]

    def set_aside(self, log: PartitionLog) -> None:
        self.delete_log(log)

    def load_high_watermarks(self) -> dict[tuple[str, int], int]:
        return dict(self._open().high_watermarks)

    def save_high_watermarks(self, values: dict[tuple[str, int], int]) -> None:
        platter = self._open()
        platter.durable_high_watermarks = platter.high_watermarks
        platter.high_watermarks = dict(values)

    def load_wall_ms(self) -> int:
        return self._open().wall_ms

    def save_wall_ms(self, wall_ms: int) -> None:
        platter = self._open()
        if not platter.full and not platter.failing:
            platter.wall_ms = wall_ms

    def load_quorum_state(self) -> dict[str, Any]:
        return dict(self._open().quorum_state)

    def save_quorum_state(self, state: dict[str, Any]) -> None:
        self._check_write("quorum-state")
        self._open().quorum_state = dict(state)

    @property
    def directory_id(self) -> UUID:
        return self.platter.directory_id

    def registered(self) -> None:
        self._check_write(".registered")
        self._open().unclean = False

    def probe(self) -> None:
        self._check_write(".probe")

    def _check_write(self, name: str, grows: bool = True) -> None:
        if self._open().failing:
            raise StorageFailed(f"{name}: input/output error")
        if self.platter.full and grows:
            raise StorageFailed(f"{name}: no space left on device")

    def total_bytes(self) -> tuple[int, int]:
        used = sum(log.size_bytes for log in self.platter.logs.values())
        return (
            self.platter.capacity_bytes,
            0 if self.platter.full else self.platter.capacity_bytes - used,
        )
