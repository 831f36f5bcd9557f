"""Reads a pasted ``kafka-*.sh`` line and finds the place in the window that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Equivalent:
    """``title`` is the palette's line: it names what Enter does."""

    title: str
    target: Target


def looks_like_one(text: str) -> bool:
    """Return whether the first word is a tool of Kafka's."""
    first = text.strip().split(maxsplit=1)
    return bool(first) and _TOOL.fullmatch(first[0]) is not None


def read(text: str) -> Equivalent | None:
    """None when it is not a line of a known tool, or its quotes do not match."""
    try:
        words = shlex.split(text.strip())
    except ValueError:
        return None
    match = _TOOL.fullmatch(words[0]) if words else None
    if match is None:
        return None
    options = _options(words[1:])
    match match[1]:
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
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        elif name:
            options[name] = options[name] or word
            name = ""
    return options
