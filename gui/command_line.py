"""Reads a pasted ``kafka-*.sh`` line and finds the place in the window that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from typing_extensions import override

from gui.navigation import (
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    NewTopicTarget,
    PageTarget,
    ProduceTarget,
    ResetTarget,
    Target,
    TopicTarget,
)
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.model import ConfigResource

_TOOL = re.compile(r"(?:.*/)?(kafka-[a-z-]+?)(?:\.sh|\.bat)?")
_INTEGER = re.compile(r"-?\d{1,18}")
_CONTINUED = re.compile(r"\\[\s\u2028\u2029]+")
"""The end of a line that goes on; a field of one line shows its line end as a space."""
OPTIONS_SHOWN = 2
_CLUSTER = ("bootstrap-server", "bootstrap-controller", "broker-list", "zookeeper")
_IMPLIED = frozenset(
    "list describe create alter reset-offsets all-topics execute dry-run verbose members state"
    " offsets if-not-exists if-exists status replication command-config consumer.config"
    " producer.config".split()
)
"""Options that need no words: what the target shows or asks anyway, and the connection's own."""


@dataclass(frozen=True, slots=True)
class Equivalent:
    """``title`` is the palette's line: it names what Enter does."""

    title: str
    target: Target
    left_out: tuple[str, ...] = ()
    """Options of the line that the target does not have, as they were written: ``--config``."""
    other_cluster: bool = False
    """Whether the line names a cluster; Enter acts on the one that is shown."""

    @property
    def note(self) -> str:
        """What differs from the pasted line, in a few words."""
        parts = ["on this cluster"] if self.other_cluster else []
        if self.left_out:
            shown = ", ".join(self.left_out[:OPTIONS_SHOWN])
            more = len(self.left_out) - OPTIONS_SHOWN
            parts.append(f"without {shown}" + (f" and {more} more" if more > 0 else ""))
        return ", ".join(parts) or "the same as this command"


class _Options(dict[str, str]):
    """The options of a line; remembers which of them were looked at."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options)
        self.read: set[str] = set()

    @override
    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.read.add(name)
        return super().get(name, default)

    @override
    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    @override
    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


def looks_like_one(text: str) -> bool:
    """Return whether the first word is a tool of Kafka's."""
    first = text.strip().split(maxsplit=1)
    return bool(first) and _TOOL.fullmatch(first[0]) is not None


def read(text: str) -> Equivalent | None:
    """None when it is not a line of a known tool, or its quotes do not match."""
    try:
        words = shlex.split(_CONTINUED.sub(" ", text).strip())
    except ValueError:
        return None
    match = _TOOL.fullmatch(words[0]) if words else None
    if match is None:
        return None
    options = _Options(_options(words[1:]))
    found = _equivalent(match[1], options)
    if found is None:
        return None
    cluster = [name for name in _CLUSTER if name in options]
    left_out = [f"--{name}" for name in options if name not in options.read | _IMPLIED]
    return replace(found, left_out=tuple(left_out), other_cluster=bool(cluster))


def _equivalent(tool: str, options: Mapping[str, str]) -> Equivalent | None:
    match tool:
        case "kafka-topics":
            return _topics(options)
        case "kafka-consumer-groups":
            return _groups(options)
        case "kafka-configs":
            return _configs(options)
        case "kafka-console-consumer":
            return _consumer(options)
        case "kafka-console-producer":
            topic = options.get("topic", "")
            return Equivalent(f"Produce to {topic}" if topic else "Produce", ProduceTarget(topic))
        case "kafka-metadata-quorum" | "kafka-broker-api-versions" | "kafka-log-dirs":
            return Equivalent("Open the brokers", PageTarget("brokers"))
    return None


def _topics(options: Mapping[str, str]) -> Equivalent:
    topic = options.get("topic", "")
    if "create" in options:
        target = NewTopicTarget(
            topic, _integer(options, "partitions"), _integer(options, "replication-factor")
        )
        return Equivalent(f"Create topic {topic}…" if topic else "Create a topic…", target)
    if topic:
        return Equivalent(f"Open topic {topic}", TopicTarget(topic))
    return Equivalent("Open the list of topics", PageTarget("topics"))


def _groups(options: Mapping[str, str]) -> Equivalent:
    group = options.get("group", "")
    if not group:
        return Equivalent("Open the list of groups", PageTarget("groups"))
    if "reset-offsets" in options:
        target = ResetTarget(group, options.get("topic", "").partition(":")[0], _reset(options))
        return Equivalent(f"Reset offsets of group {group}…", target)
    return Equivalent(f"Open group {group}", GroupTarget(group))


def _reset(options: Mapping[str, str]) -> ResetSpec | None:
    """None for a way to reset that the form does not offer."""
    if "to-earliest" in options:
        return ResetSpec(ResetTo.EARLIEST)
    if "to-latest" in options:
        return ResetSpec(ResetTo.LATEST)
    if (offset := _integer(options, "to-offset")) is not None:
        return ResetSpec(ResetTo.OFFSET, offset)
    if (shift := _integer(options, "shift-by")) is not None:
        return ResetSpec(ResetTo.SHIFT, shift)
    return None


def _configs(options: Mapping[str, str]) -> Equivalent:
    kind = options.get("entity-type", "").removesuffix("s")
    name = options.get("entity-name", "")
    for shortcut in ("topic", "broker"):  # --topic orders is --entity-type topics --entity-name
        if shortcut in options:
            kind, name = shortcut, options[shortcut]
    if kind not in ("topic", "broker") or not name:
        return Equivalent("Open configuration", PageTarget("configuration"))
    return Equivalent(
        f"Open the configuration of {kind} {name}", ConfigurationTarget(ConfigResource(kind, name))
    )


def _consumer(options: Mapping[str, str]) -> Equivalent:
    topic = options.get("topic", "")
    if not topic:
        return Equivalent("Browse messages", PageTarget("messages"))
    target = MessagesTarget(topic, _integer(options, "partition"), _integer(options, "offset"))
    return Equivalent(f"Browse messages of {topic}", target)


def _integer(options: Mapping[str, str], name: str) -> int | None:
    value = options.get(name, "")
    return int(value) if _INTEGER.fullmatch(value) else None


def _options(words: Sequence[str]) -> dict[str, str]:
    """``--name value``, ``--name=value`` and bare ``--name`` (an empty value)."""
    options: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith(("\u2013", "\u2014")):  # what text programs make of two hyphens
            word = f"--{word[1:]}"
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        elif name:
            options[name] = options[name] or word
            name = ""
    return options
