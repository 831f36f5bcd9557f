"""Three broker processes, each in a network namespace of its own, that a nemesis can hurt.

Each broker is `python -m embedded_broker server.properties --supervised`: it stops by itself when
the test process ends, since its standard input is a pipe from it.
"""

from __future__ import annotations

import os
import resource
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from embedded_broker.shell import admin
from kafka_protocol.codec import ProtocolError
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataResponse
from kafka_protocol.messages.k10_find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kafka_protocol.messages.k55_describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
)
from kafka_protocol.messages.k55_describe_quorum import PartitionData as QuorumPartition
from kafka_protocol.messages.k55_describe_quorum import TopicData as QuorumTopic
from tests.nemesis.namespaces import Namespaces

PORT = 9092
READY_S = 30.0
POLL_S = 0.05
BALLAST = ".ballast"
"""The file that fills a disk."""
METADATA_VERSION = 9
QUORUM_VERSION = 1
SETTINGS = {
    "process.roles": "broker,controller",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "replica.lag.time.max.ms": "1500",
    "replica.fetch.wait.max.ms": "300",
}
"""Faults are noticed within two seconds, so that a scenario takes ten."""


class Brokers:
    """A context manager: the brokers run from ``__enter__`` on, with ``settings`` added to
    SETTINGS. ``small_disk`` names a broker whose data lies on a volume of ``small_disk_mib``."""

    def __init__(
        self,
        folder: Path,
        network: Namespaces,
        settings: dict[str, str] | None = None,
        small_disk: int = 0,
        small_disk_mib: int = 24,
    ) -> None:
        self.folder = folder
        self.network = network
        self.ids = list(network.ids)
        self._settings = SETTINGS | (settings or {})
        self._small_disk = small_disk
        self._small_disk_mib = small_disk_mib
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._limits: dict[int, dict[int, tuple[int, int]]] = {}

    # ---- life of the cluster
    def __enter__(self) -> Brokers:
        secret, cluster_id = secrets.token_hex(32), secrets.token_urlsafe(16)
        voters = ",".join(f"{i}@{self.network.host(i)}:{PORT}" for i in self.ids)
        for i in self.ids:
            self.data(i).mkdir(parents=True)
            listener = f"PLAINTEXT://{self.network.host(i)}:{PORT}"
            values = self._settings | {
                "node.id": str(i),
                "cluster.id": cluster_id,
                "listeners": listener,
                "advertised.listeners": listener,
                "controller.quorum.voters": voters,
                "log.dirs": str(self.data(i)),
                "cluster.secret": secret,
            }
            text = "".join(f"{key}={value}\n" for key, value in values.items())
            self.properties(i).write_text(text)
        if self._small_disk:
            size = f"size={self._small_disk_mib}m"
            target = str(self.data(self._small_disk))
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", target], check=True)
        try:
            for i in self.ids:
                self.start(i, wait=False)
            for i in self.ids:
                self._wait_serving(i)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the brokers and unmount the small disk."""
        for i in list(self._processes):
            self.kill(i)
        if self._small_disk:
            target = str(self.data(self._small_disk))
            subprocess.run(["umount", "-l", target], capture_output=True, check=False)

    # ---- one broker
    def properties(self, broker_id: int) -> Path:
        """The path of a broker's server.properties."""
        return self.folder / f"broker-{broker_id}" / "server.properties"

    def data(self, broker_id: int) -> Path:
        """A broker's log directory."""
        return self.folder / f"broker-{broker_id}" / "data"

    def log(self, broker_id: int) -> str:
        """The text of a broker's log."""
        path = self.folder / f"broker-{broker_id}" / "broker.log"
        return path.read_text() if path.exists() else ""

    @property
    def running(self) -> list[int]:
        """The brokers that have a process."""
        return [i for i, p in self._processes.items() if p.poll() is None]

    def start(self, broker_id: int, wait: bool = True) -> None:
        """Start a broker that has no process; with ``wait``, until it serves."""
        assert broker_id not in self.running
        command = ["ip", "netns", "exec", self.network.name(broker_id), sys.executable]
        command += ["-m", "embedded_broker", str(self.properties(broker_id)), "--supervised"]
        errors = (self.folder / f"broker-{broker_id}" / "broker.err").open("a")
        with errors:
            self._processes[broker_id] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._limits.pop(broker_id, None)
        if wait:
            self._wait_serving(broker_id)

    def _wait_serving(self, broker_id: int) -> None:
        process = self._processes[broker_id]
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(READY_S) else ""
        assert line == "serving\n", (
            f"broker {broker_id} does not serve after {READY_S:g} s, exit code {process.poll()}: "
            + self.log(broker_id)[-1500:]
        )

    def kill(self, broker_id: int) -> None:
        """End the process at once (SIGKILL), frozen or not."""
        self._signal(broker_id, signal.SIGKILL)
        self._reap(broker_id)

    def terminate(self, broker_id: int) -> int:
        """Shut a broker down in order and return its exit code."""
        self._signal(broker_id, signal.SIGTERM)
        return self._reap(broker_id)

    def freeze(self, broker_id: int) -> None:
        """Suspend the process; the kernel still accepts connections for it."""
        self._signal(broker_id, signal.SIGSTOP)

    def thaw(self, broker_id: int) -> None:
        """Continue a frozen process."""
        self._signal(broker_id, signal.SIGCONT)

    def _signal(self, broker_id: int, number: int) -> None:
        process = self._processes[broker_id]
        if process.poll() is None:
            os.kill(process.pid, number)

    def _reap(self, broker_id: int) -> int:
        process = self._processes[broker_id]
        code = process.wait(30)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return code

    # ---- its disk
    def fill_disk(self, broker_id: int) -> None:
        """Leave no free page on the small disk."""
        assert broker_id == self._small_disk
        fd = os.open(self.data(broker_id) / BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 20, 4096):  # large pieces first, then to the last page
                with suppress(OSError):
                    while True:
                        os.write(fd, bytes(size))
        finally:
            os.close(fd)

    def free_disk(self, broker_id: int) -> None:
        """Give the pages of ``fill_disk`` back."""
        (self.data(broker_id) / BALLAST).unlink(missing_ok=True)

    def fail_writes(self, broker_id: int) -> None:
        """Let every write that makes a file longer fail (EFBIG), as on a failing disk."""
        self._limit(broker_id, resource.RLIMIT_FSIZE, 0)

    def exhaust_descriptors(self, broker_id: int) -> None:
        """Let every further open and accept fail (EMFILE)."""
        pid = self._processes[broker_id].pid
        self._limit(broker_id, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd")))

    def lift_limits(self, broker_id: int) -> None:
        """End ``fail_writes`` and ``exhaust_descriptors``."""
        for kind, limits in self._limits.pop(broker_id, {}).items():
            resource.prlimit(self._processes[broker_id].pid, kind, limits)

    def _limit(self, broker_id: int, kind: int, value: int) -> None:
        pid = self._processes[broker_id].pid
        before = resource.prlimit(pid, kind)
        self._limits.setdefault(broker_id, {})[kind] = before
        resource.prlimit(pid, kind, (value, before[1]))

    # ---- what the cluster says
    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(f"{self.network.host(i)}:{PORT}" for i in self.ids)

    def metadata(self, broker_id: int) -> MetadataResponse:
        """A broker's metadata of all topics.

        Raises:
            OSError, ProtocolError: the broker does not answer within two seconds.
        """
        address = (self.network.host(broker_id), PORT)
        request = MetadataRequest(topics=None)
        response: MetadataResponse = admin.request(address, request, METADATA_VERSION, 2.0)
        return response

    def controller(self) -> int:
        """The leader of the metadata quorum, as the first broker that answers knows it."""
        request = DescribeQuorumRequest(
            [QuorumTopic("__cluster_metadata", [QuorumPartition(partition_index=0)])]
        )
        for i in self.running:
            try:
                response: DescribeQuorumResponse = admin.request(
                    (self.network.host(i), PORT), request, QUORUM_VERSION, 2.0
                )
                return response.topics[0].partitions[0].leader_id
            except (OSError, ProtocolError):
                continue
        raise AssertionError("no broker answers")

    def coordinator(self, group: str) -> int:
        """The coordinator of a group."""
        request = FindCoordinatorRequest(key=group)
        address = (self.network.host(self.running[0]), PORT)
        response: FindCoordinatorResponse = admin.request(address, request, 2, 2.0)
        return response.node_id

    def leader(self, topic: str, partition: int) -> int:
        """The leader of a partition, -1 when it has none."""
        return self._partition(topic, partition)[0]

    def leader_epochs(self, topic: str) -> dict[int, int]:
        """The leader epoch by partition."""
        for t in self.metadata(self.running[0]).topics:
            if t.name == topic:
                return {p.partition_index: p.leader_epoch for p in t.partitions}
        raise AssertionError(f"no topic {topic}")

    def _partition(self, topic: str, partition: int) -> tuple[int, int]:
        for t in self.metadata(self.running[0]).topics:
            for p in t.partitions:
                if (t.name, p.partition_index) == (topic, partition):
                    return p.leader_id, p.leader_epoch
        raise AssertionError(f"no partition {topic}-{partition}")

    def is_whole(self) -> bool:
        """Return whether every broker lists every broker, and every replica is in sync."""
        try:
            views = [self.metadata(i) for i in self.ids]
        except (OSError, ProtocolError):
            return False
        return all(
            {b.node_id for b in view.brokers} == set(self.ids)
            and all(
                p.leader_id >= 0 and set(p.isr_nodes) == set(p.replica_nodes)
                for t in view.topics
                for p in t.partitions
            )
            for view in views
        )

    def wait_until_whole(self, timeout_s: float = 20.0) -> float:
        """Wait for ``is_whole``; return the seconds that it took."""
        return wait_until(self.is_whole, timeout_s, "the cluster is not whole again")


def wait_until(holds: Callable[[], bool], timeout_s: float, otherwise: str) -> float:
    """Poll until ``holds`` returns True; return the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, f"{otherwise} after {timeout_s:g} s"
        time.sleep(POLL_S)
    return time.monotonic() - began
