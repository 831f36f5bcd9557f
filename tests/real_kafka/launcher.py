"""A real Apache Kafka cluster on loopback: KRaft, every node broker and controller, small heaps.

    python tests/real_kafka/launcher.py --brokers 3

prints `ready bootstrap.servers=...` and stops on SIGTERM;

or, in a test, `with RealCluster(brokers=3) as cluster: cluster.bootstrap_servers`. Nodes are
numbered from 1. Standard library only. The jars come from `make kafka`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from tests.real_kafka.fetch import class_path, why_unavailable
from tests.real_kafka.security import PROTOCOLS, format_arguments, listener_settings

HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0
STARTED = "Kafka Server started"
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto"]

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
"""


class NotStarted(RuntimeError):
    """A node did not come up; the message ends with the tail of its log."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now. Held together, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def kafka_uuid() -> str:
    """A random id as Kafka writes them: 16 bytes in URL-safe base64 without padding, not starting
    with a dash."""
    text = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return text if not text.startswith("-") else kafka_uuid()


def _die_with_parent() -> None:
    """On Linux a node ends with its launcher, however that one ended."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class RealCluster:
    """Starts `brokers` nodes and stops them again. `settings` go into every server.properties,
    last.

    `data` keeps the folder; without it a temporary one is removed at the end. With another
    `protocol` than PLAINTEXT clients need the user of security.py, the certificate `ca_file`, or
    both; the nodes talk on a listener of their own.
    """

    def __init__(
        self,
        brokers: int = 3,
        settings: Mapping[str, str] | None = None,
        data: Path | None = None,
        heap_mb: int = 256,
        protocol: str = "PLAINTEXT",
    ) -> None:
        reason = why_unavailable()
        if reason is not None:
            raise NotStarted(reason)
        self.node_ids = list(range(1, brokers + 1))
        self.settings = dict(settings or {})
        self.heap_mb = heap_mb
        self.cluster_id = kafka_uuid()
        self._temporary = data is None
        self.data = (
            data if data is not None else Path(tempfile.mkdtemp(prefix="kafkarium-real-kafka-"))
        )
        self.protocol = protocol
        ports = free_ports(3 * brokers)
        self.ports = dict(zip(self.node_ids, ports[:brokers], strict=True))
        self._controller_ports = dict(zip(self.node_ids, ports[brokers : 2 * brokers], strict=True))
        self._internal_ports = dict(zip(self.node_ids, ports[2 * brokers :], strict=True))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{HOST}:{port}" for port in self.ports.values())

    @property
    def ca_file(self) -> Path:
        """The certificate that clients are to trust, when the protocol is one with SSL."""
        return self.data / "ca.pem"

    def log_dir(self, node_id: int) -> Path:
        """Return the directory in which one node keeps its partitions."""
        return self.data / f"node-{node_id}"

    def log_file(self, node_id: int) -> Path:
        """Return the file with what one node printed."""
        return self.data / f"node-{node_id}.log"

    def pid(self, node_id: int) -> int:
        return self._processes[node_id].pid

    # -- starting and stopping -------------------------------------------------------------------

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "log4j2.properties").write_text(LOG4J)
        for node_id in self.node_ids:
            lines = [f"{key}={value}\n" for key, value in self._properties(node_id).items()]
            self._properties_file(node_id).write_text("".join(lines))
        self._format()
        for node_id in self.node_ids:
            self._spawn(node_id)
        for node_id in self.node_ids:
            self._await_started(node_id)

    def start_node(self, node_id: int) -> None:
        """Start a node that was stopped or killed, and wait until it serves."""
        self._spawn(node_id)
        self._await_started(node_id)

    def stop_node(self, node_id: int, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Controlled shutdown; a node that does not end in time is killed."""
        process = self._processes.pop(node_id, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill_node(self, node_id: int) -> None:
        """kill -9."""
        process = self._processes.pop(node_id)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop the nodes one by one, the last first. Without a quorum the rest cannot hand over:
        short patience."""
        majority = len(self.node_ids) // 2 + 1
        for node_id in reversed(self.node_ids):
            patience_s = STOP_TIMEOUT_S if len(self._processes) > majority else 2.0
            self.stop_node(node_id, patience_s)
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> RealCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- parts -----------------------------------------------------------------------------------

    def _properties_file(self, node_id: int) -> Path:
        return self.data / f"node-{node_id}.properties"

    def _properties(self, node_id: int) -> dict[str, str]:
        nodes = len(self.node_ids)
        replication = str(min(3, nodes))
        in_sync = str(min(2, nodes))
        voters = ",".join(f"{n}@{HOST}:{port}" for n, port in self._controller_ports.items())
        clients = f"CLIENTS://{HOST}:{self.ports[node_id]}"
        internal = f"INTERNAL://{HOST}:{self._internal_ports[node_id]}"
        controller = f"CONTROLLER://{HOST}:{self._controller_ports[node_id]}"
        return {
            "process.roles": "broker,controller",
            "node.id": str(node_id),
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{clients},{internal},{controller}",
            "advertised.listeners": f"{clients},{internal}",
            "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": (
                f"CLIENTS:{self.protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "log.dirs": str(self.log_dir(node_id)),
            "offsets.topic.replication.factor": replication,
            "offsets.topic.num.partitions": "3",
            "transaction.state.log.replication.factor": replication,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "3",
            "share.coordinator.state.topic.replication.factor": replication,
            "share.coordinator.state.topic.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "3",
            "group.initial.rebalance.delay.ms": "0",
            "controlled.shutdown.enable": "true",
            "log.segment.bytes": str(64 << 20),
            "log.index.size.max.bytes": str(1 << 20),
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            **listener_settings(self.protocol, self.data),
            **self.settings,
        }

    def _java(self, *args: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={self.data / 'log4j2.properties'}"
        return ["java", f"-Xmx{self.heap_mb}m", *JVM, log4j, "-cp", class_path(), *args]

    def _format(self) -> None:
        """Format the first node's storage with Kafka's tool; the others get the same with their
        own ids: one JVM."""
        first = self.node_ids[0]
        if (self.log_dir(first) / "meta.properties").exists():
            return
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "-t",
            self.cluster_id,
            "-c",
            str(self._properties_file(first)),
        ]
        tool += format_arguments(self.protocol)
        done = subprocess.run(
            self._java(*tool), capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise NotStarted(
                f"storage could not be formatted: {done.stdout[-1000:]}{done.stderr[-1000:]}"
            )
        for node_id in self.node_ids[1:]:
            shutil.copytree(self.log_dir(first), self.log_dir(node_id))
            meta = self.log_dir(node_id) / "meta.properties"
            own = {"node.id": str(node_id), "directory.id": kafka_uuid()}
            lines = [
                line for line in meta.read_text().splitlines() if line.split("=")[0] not in own
            ]
            meta.write_text("\n".join([*lines, *(f"{k}={v}" for k, v in own.items())]) + "\n")

    def _spawn(self, node_id: int) -> None:
        log = self.log_file(node_id)
        if log.exists():
            log.replace(log.with_suffix(".log.before"))
        with log.open("wb") as out:
            self._processes[node_id] = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties_file(node_id))),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def _await_started(self, node_id: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            text = self.log_file(node_id).read_text(errors="replace")
            if STARTED in text:
                return
            if self._processes[node_id].poll() is not None:
                raise NotStarted(f"node {node_id} ended while starting:\n{text[-3000:]}")
            time.sleep(0.1)
        text = self.log_file(node_id).read_text(errors="replace")
        raise NotStarted(
            f"node {node_id} did not start within {START_TIMEOUT_S:.0f} s:\n{text[-3000:]}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Start a real Apache Kafka cluster on loopback.")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, help="keep the data here (default: a temporary folder)"
    )
    parser.add_argument("--heap-mb", type=int, default=256)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a server.properties line"
    )
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="PLAINTEXT", help="what clients speak"
    )
    options = parser.parse_args()
    reason = why_unavailable()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 3

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    settings = dict(line.split("=", 1) for line in options.set)
    with (
        contextlib.suppress(KeyboardInterrupt),
        RealCluster(
            options.brokers, settings, options.data, options.heap_mb, options.protocol
        ) as cluster,
    ):
        print(f"ready bootstrap.servers={cluster.bootstrap_servers}", flush=True)
        while True:
            time.sleep(3600)
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
