"""A cluster's directory: ``cluster.json``, ``cluster.secret``, ``.lock``, and one folder
``broker-N`` with a server.properties for each broker.

Everything that can prevent a start is checked here, before any process is started.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded_broker.core.ports import StorageFailed
from embedded_broker.options import SettingError, Settings
from embedded_broker.shell import platform
from embedded_broker.shell.authentication import SecretRefused, find_secret, make_secret
from embedded_broker.shell.server import ListenFailed, bind
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.identity import META, new_cluster_id

CLUSTER_FILE = "cluster.json"
LOCK_FILE = ".lock"
DATA = "data"
PROPERTIES = "server.properties"
ERRORS = "broker.err"
MAX_BROKERS = 32
DEFAULT_BROKERS = 3
MAX_PORT = 65535
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ClusterRefused(Exception):
    """The cluster cannot be started with this specification; the text is a sentence. Nothing was
    started."""


class PortUnavailable(ClusterRefused):
    """A broker cannot listen on its port; another first port may do."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Holds what distinguishes one broker from the others."""

    rack: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster to run.

    ``directory`` holds its data and identity. ``brokers`` is their number; 0 means as many as the
    directory has, or 3. ``port`` is the first broker's, the others count up from it; 0 takes free
    ones. ``settings`` are server.properties of every broker, ``per_broker`` (by broker id) adds to
    them. A broker that died is restarted after ``restart_after_s`` seconds; None leaves it dead.
    """

    directory: Path
    brokers: int = 0
    port: int = 19092
    host: str = "127.0.0.1"
    settings: Mapping[str, str] = field(default_factory=dict)
    per_broker: Mapping[int, BrokerOptions] = field(default_factory=dict)
    restart_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """A broker's directory and address; ``host`` is the one that clients get to see."""

    broker_id: int
    host: str
    port: int
    directory: Path

    @property
    def properties(self) -> Path:
        """The path of the broker's server.properties."""
        return self.directory / PROPERTIES


class ClusterDirectory:
    """The directory of a cluster, locked for this process from ``__init__`` to ``release``."""

    def __init__(self, spec: ClusterSpec) -> None:
        """Check the specification against the directory, then write the brokers' properties.

        Raises:
            ClusterRefused: and the directory is left as it was.
        """
        self.path = spec.directory.absolute()
        self._lock = -1
        existed = self.path.exists()
        try:
            self._prepare(spec, existed)
        except (OSError, StorageFailed) as e:
            self.release()
            raise ClusterRefused(f"the data directory {self.path} cannot be used: {_why(e)}") from e
        except BaseException:
            self.release()
            if not existed and self.path.exists():
                (self.path / LOCK_FILE).unlink(missing_ok=True)
                if not any(self.path.iterdir()):
                    self.path.rmdir()
            raise

    def _prepare(self, spec: ClusterSpec, existed: bool) -> None:
        """Lock and check first, write last: a refusal leaves no trace."""
        self._lock_directory(existed)
        stored = self._stored()
        count = self._broker_count(spec, stored)
        self.cluster_id = str(stored.get("cluster_id") or new_cluster_id())
        ports = (
            free_ports(spec.host, count)
            if spec.port == 0
            else [spec.port + i for i in range(count)]
        )
        if ports[-1] > MAX_PORT:
            raise ClusterRefused(f"port {ports[-1]} is above {MAX_PORT}")
        host = advertised_host(spec.host)
        self.brokers = {
            i + 1: BrokerPlace(i + 1, host, port, self.path / f"broker-{i + 1}")
            for i, port in enumerate(ports)
        }
        texts = {i: self._properties(spec, place) for i, place in self.brokers.items()}
        for text in texts.values():
            try:
                Settings.parse(text)
            except SettingError as e:
                raise ClusterRefused(str(e)) from e
        self._check_owners()
        self._check_running()
        for place in self.brokers.values():
            try:
                bind(spec.host, place.port).close()
            except ListenFailed as e:
                raise PortUnavailable(f"{e}: broker {place.broker_id} needs this port") from e
        make_secret(self.path)
        try:
            find_secret(self.path)
        except SecretRefused as e:
            raise ClusterRefused(str(e)) from e
        for i, place in self.brokers.items():
            place.directory.mkdir(mode=0o700, exist_ok=True)
            files.write_whole(place.properties, texts[i], durable=False)
        identity = {
            "cluster_id": self.cluster_id,
            "brokers": count,
            "host": spec.host,
            "port": ports[0],
        }
        files.write_whole(
            self.path / CLUSTER_FILE, json.dumps(identity, indent=1) + "\n", durable=True
        )

    def _lock_directory(self, existed: bool) -> None:
        if existed and not (self.path / CLUSTER_FILE).exists():
            others = [p.name for p in self.path.iterdir() if p.name != LOCK_FILE]
            if any(self.path.glob(f"broker-*/{DATA}/{META}")):
                raise ClusterRefused(
                    f"{self.path / CLUSTER_FILE} is missing, and there are brokers beside it:"
                    " restore it, or name another directory for a new cluster"
                )
            if others:
                raise ClusterRefused(
                    f"the data directory {self.path} is not empty and holds no cluster "
                    f"(it has {sorted(others)[0]!r}): name a new or an empty one"
                )
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock = platform.lock_file(self.path / LOCK_FILE)
        except platform.InUse:
            raise ClusterRefused(
                f"the data directory {self.path} is in use by another running cluster"
            ) from None

    def _broker_count(self, spec: ClusterSpec, stored: dict[str, Any]) -> int:
        count = spec.brokers or int(stored.get("brokers", DEFAULT_BROKERS))
        if not 1 <= count <= MAX_BROKERS:
            raise ClusterRefused(f"a cluster has 1 to {MAX_BROKERS} brokers, not {count}")
        if stored and count != int(stored["brokers"]):
            raise ClusterRefused(
                f"the data directory {self.path} belongs to a cluster of {stored['brokers']} "
                f"brokers, not {count}: every broker is a voter of the metadata quorum, "
                "so their number cannot change"
            )
        return count

    def _stored(self) -> dict[str, Any]:
        """The identity in cluster.json; empty for a new cluster."""
        path = self.path / CLUSTER_FILE
        text = files.read_rebuildable(path)
        if text is None and not path.exists():
            return {}
        try:
            found = json.loads(text or "")
        except (ValueError, RecursionError):
            found = None
        if not (
            isinstance(found, dict)
            and type(found.get("brokers")) is int
            and found["brokers"] > 0
            and found.get("cluster_id")
        ):
            raise ClusterRefused(
                f"{path} is damaged. It names the cluster that {self.path} belongs to, as"
                ' {"cluster_id": ..., "brokers": ...}: restore it, with the cluster.id of a'
                f" broker's {META}"
            )
        return found

    def _check_owners(self) -> None:
        for place in self.brokers.values():
            meta = files.read_properties(place.directory / DATA / META)
            owner = meta.get("cluster.id", self.cluster_id)
            if owner != self.cluster_id:
                raise ClusterRefused(
                    f"the data directory {place.directory / DATA} belongs to cluster {owner}, "
                    f"but this is cluster {self.cluster_id}"
                )

    def _check_running(self) -> None:
        """Refuse while a broker runs that was started by hand: it locks its data directory."""
        for place in self.brokers.values():
            lock = place.directory / DATA / ".lock"
            if lock.exists():
                try:
                    os.close(platform.lock_file(lock))
                except platform.InUse:
                    raise ClusterRefused(
                        f"the data directory {place.directory / DATA} "
                        "is in use by another running broker"
                    ) from None

    def _properties(self, spec: ClusterSpec, place: BrokerPlace) -> str:
        """The server.properties of one broker. Where they differ from Kafka's defaults, it is
        because a small local cluster should start and fail over within seconds."""
        count = len(self.brokers)
        factor = min(3, count)
        voters = ",".join(
            f"{b.broker_id}@{_bracketed(b.host)}:{b.port}" for b in self.brokers.values()
        )
        values = {
            "node.id": str(place.broker_id),
            "cluster.id": self.cluster_id,
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://{_bracketed(spec.host)}:{place.port}",
            "advertised.listeners": f"PLAINTEXT://{_bracketed(place.host)}:{place.port}",
            "controller.quorum.voters": voters,
            "log.dirs": str(place.directory / DATA),
            "default.replication.factor": str(factor),
            "min.insync.replicas": str(max(1, factor - 1)),
            "num.partitions": "3",
            "offsets.topic.replication.factor": str(factor),
            "offsets.topic.num.partitions": "12",
            "transaction.state.log.replication.factor": str(factor),
            "transaction.state.log.min.isr": str(max(1, factor - 1)),
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }
        own = spec.per_broker.get(place.broker_id, BrokerOptions())
        if own.rack:
            values["broker.rack"] = own.rack
        values.update(spec.settings)
        values.update(own.settings)
        return "".join(f"{key}={_escaped(value)}\n" for key, value in values.items())

    def release(self) -> None:
        """Unlock the directory."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def is_in_use(directory: Path) -> bool:
    """Return whether a running program holds the lock of this cluster, or of one of its brokers."""
    locks = [directory / LOCK_FILE, *directory.glob(f"broker-*/{DATA}/{LOCK_FILE}")]
    for lock in locks:
        if lock.exists():
            try:
                os.close(platform.lock_file(lock))
            except platform.InUse:
                return True
    return False


def advertised_host(host: str) -> str:
    """The host to advertise for a broker that listens on ``host``: for all addresses, the one
    that this machine uses towards others."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    with socket.socket(
        socket.AF_INET6 if host == "::" else socket.AF_INET, socket.SOCK_DGRAM
    ) as probe:
        try:
            # Connecting a datagram socket sends nothing: it makes the kernel choose a route.
            probe.connect(("2001:db8::1" if host == "::" else "192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if host == "::" else "127.0.0.1"


def free_ports(host: str, count: int) -> list[int]:
    """Ports that are free now; another program may take one before it is used."""
    sockets = [bind(host, 0) for _ in range(count)]
    ports = sorted(sock.getsockname()[1] for sock in sockets)
    for sock in sockets:
        sock.close()
    return ports


def parse_setting(text: str) -> tuple[str, str]:
    """Read ``key=value``.

    Raises:
        ValueError: a sentence that shows the allowed form.
    """
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9._-]+", key.strip()):
        # Only the name: what comes after it may be a password.
        name = re.split(r"[^A-Za-z0-9._-]", key.strip(), maxsplit=1)[0]
        raise ValueError(f"invalid setting {name!r}: write key=value, such as num.partitions=6")
    return key.strip(), value


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _why(error: OSError | StorageFailed) -> str:
    if isinstance(error, StorageFailed) or not error.strerror:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
