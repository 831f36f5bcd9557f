"""The settings with which one broker starts: server.properties, parsed and checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from embedded_broker.options.listeners import (
    Listener,
    parse_address,
    parse_listeners,
    parse_protocol_map,
)
from embedded_broker.options.names import unknown
from embedded_broker.options.node import (
    LISTENERS,
    METRICS,
    NODE,
    QUORUM,
    REPLICATION,
    SECURITY,
    TOPICS,
)
from embedded_broker.options.option import Option, SettingError, Value, table
from embedded_broker.options.properties import parse_properties
from embedded_broker.options.storage import GROUPS, STORAGE, TRANSACTIONS

OPTIONS: dict[str, Option] = table(
    *NODE,
    *LISTENERS,
    *QUORUM,
    *REPLICATION,
    *TOPICS,
    *STORAGE,
    *GROUPS,
    *TRANSACTIONS,
    *SECURITY,
    *METRICS,
)
"""Every setting of a broker, by its name in server.properties."""

ZOOKEEPER = "this cluster keeps its metadata in a KRaft quorum and does not use ZooKeeper"
_FACTORS = {"hours": 3_600_000, "minutes": 60_000, "ms": 1}
CHECKED_ORDER = (
    ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
    ("broker.heartbeat.interval.ms", "broker.session.timeout.ms"),
    ("replica.fetch.wait.max.ms", "replica.lag.time.max.ms"),
)
"""Pairs of settings of which the first may not be above the second."""


class Settings:
    """Typed values by name, ``settings["num.partitions"]``, with the default if the file has none.

    ``static`` has the typed values of the file, ``texts`` its texts.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Raises: SettingError."""
        self.texts: dict[str, str] = dict(texts)
        self.static: dict[str, Value] = {}
        for name, text in self.texts.items():
            self.static[name] = parse_option(name, text)
        self.node_id: int = self._node_id()
        self.protocols: dict[str, str] = self._protocols()
        self.listeners: tuple[Listener, ...] = parse_listeners(
            self["listeners"], self.protocols, "listeners"
        )
        self.advertised_listeners: tuple[Listener, ...] = self._advertised()
        self.inter_broker_listener: str = self._inter_broker_listener()
        self.voters: dict[int, tuple[str, int]] = self._voters()
        self._check_whole()

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Parse the text of a server.properties.

        Raises:
            SettingError: a sentence that names the key, its value unless that is secret, and what
                is allowed.
        """
        return cls(parse_properties(text))

    def __getitem__(self, name: str) -> Any:
        if name in self.static:
            return self.static[name]
        return OPTIONS[name].default

    def __contains__(self, name: str) -> bool:
        return name in self.static

    @property
    def log_dir(self) -> str:
        """The one directory of the partition logs."""
        return str(self["log.dirs"] or self["log.dir"]).split(",")[0].strip()

    @property
    def rack(self) -> str | None:
        """The rack of the broker, or None."""
        return self["broker.rack"] or None

    @property
    def cluster_id(self) -> str:
        """The cluster's id, or an empty string when the file has none."""
        return self["cluster.id"] or ""

    @property
    def durable(self) -> bool:
        """Return whether records are flushed before they are acknowledged."""
        return bool(self["log.durable"]) or self["log.flush.interval.messages"] == 1

    def listener(self, name: str) -> Listener:
        """The listener of this name. Raises: StopIteration when there is none."""
        return next(found for found in self.listeners if found.name == name)

    def _node_id(self) -> int:
        node, old = self["node.id"], self["broker.id"]
        if node < 0 and old < 0:
            raise SettingError("node.id is missing: every broker needs its own id, 0 or above")
        if node >= 0 and old >= 0 and node != old:
            raise SettingError(
                f"node.id={node} and broker.id={old} differ: they name the same broker"
            )
        return int(node if node >= 0 else old)

    def _protocols(self) -> dict[str, str]:
        found = parse_protocol_map(self["listener.security.protocol.map"])
        if "listener.security.protocol.map" not in self:
            for name in self["controller.listener.names"] or ():
                found.setdefault(name.upper(), "PLAINTEXT")  # as Kafka does in KRaft mode
        return found

    def _for_brokers(self) -> list[Listener]:
        """The listeners without those that are named for controllers, as in a KRaft file."""
        controllers = {name.upper() for name in self["controller.listener.names"] or ()}
        return [one for one in self.listeners if one.name not in controllers] or list(
            self.listeners
        )

    def _advertised(self) -> tuple[Listener, ...]:
        names = [one.name for one in self.listeners]
        parts = self["advertised.listeners"]
        if not parts:
            return tuple(
                one if one.host else replace(one, host="127.0.0.1") for one in self._for_brokers()
            )
        found = parse_listeners(parts, self.protocols, "advertised.listeners")
        for one in found:
            if one.name not in names:
                raise SettingError(
                    f"advertised.listeners names {one.name}, "
                    f"but listeners has only {', '.join(names)}"
                )
            if one.host in ("", "0.0.0.0", "::"):
                raise SettingError(
                    f"advertised.listeners: clients cannot connect to "
                    f"{one.name}://{one.host}:{one.port}, name one address"
                )
        return found

    def _inter_broker_listener(self) -> str:
        name = self["inter.broker.listener.name"]
        names = [one.name for one in self._for_brokers()]
        if name is None:
            if len(names) > 1:
                protocol = self["security.inter.broker.protocol"]
                if protocol in names:
                    return str(protocol)
                raise SettingError(
                    "inter.broker.listener.name is missing: allowed is the one of "
                    f"{', '.join(names)} that brokers use between each other"
                )
            return names[0]
        if name.upper() not in names:
            raise SettingError(
                f"inter.broker.listener.name={name}: allowed is one of {', '.join(names)}"
            )
        return str(name.upper())

    def _voters(self) -> dict[int, tuple[str, int]]:
        found: dict[int, tuple[str, int]] = {}
        part: str
        for part in self["controller.quorum.voters"]:
            id_, at, address = part.partition("@")
            if not at or not (id_.isascii() and id_.isdigit()):
                raise SettingError(f"controller.quorum.voters={part}: allowed is id@host:port, ...")
            if int(id_) in found:
                raise SettingError(f"controller.quorum.voters names broker {id_} twice")
            found[int(id_)] = parse_address(address, "controller.quorum.voters")
        if not found:
            own = next(
                one for one in self.advertised_listeners if one.name == self.inter_broker_listener
            )
            return {self.node_id: (own.host, own.port)}
        if self.node_id not in found:
            raise SettingError(
                f"controller.quorum.voters does not name this broker, {self.node_id}: "
                "every broker is a voter here"
            )
        return found

    def _check_whole(self) -> None:
        roles = self["process.roles"]
        if set(roles) != {"broker", "controller"}:
            raise SettingError(
                f"process.roles={','.join(roles)}: allowed is broker,controller, "
                "because every node here is both"
            )
        for low, high in CHECKED_ORDER:
            if self[low] > self[high]:
                raise SettingError(f"{low}={self[low]} is above {high}={self[high]}")
        if "," in str(self["log.dirs"] or ""):
            raise SettingError(f"log.dirs={self['log.dirs']}: a broker here has one directory")


def parse_option(name: str, text: str) -> Value:
    """Return the typed value of a broker's setting.

    Raises:
        SettingError: an unknown name, or an invalid value.
    """
    option = OPTIONS.get(name)
    if option is None and name.startswith("listener.name."):
        # listener.name.<listener>.<setting>: a setting for one listener
        base = OPTIONS.get(name.split(".", 3)[3]) if name.count(".") >= 3 else None
        option = base
    if option is None:
        if name.startswith("zookeeper."):
            raise SettingError(f"{name}: {ZOOKEEPER}")
        # Without the value: a misspelt name may be that of a password.
        raise SettingError(unknown(name, OPTIONS))
    return option.parse(text)


def milliseconds(option: Option, value: Value) -> Value:
    """Convert a value in hours or minutes to milliseconds; -1 stays."""
    if isinstance(value, int) and option.unit in ("hours", "minutes") and value >= 0:
        return value * _FACTORS[option.unit]
    return value
