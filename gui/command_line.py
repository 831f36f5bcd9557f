"""Reads a pasted ``kafka-*.sh`` line and says which page does the same, and where on it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

_TOOL = re.compile(r"(?:.*/)?(kafka-[a-z-]+?)(?:\.sh|\.bat)?")


@dataclass(frozen=True, slots=True)
class Meant:
    """``page`` and ``where`` for navigate; ``words`` says in the palette what Enter will do."""

    page: str
    words: str
    where: dict[str, object] = field(default_factory=dict)


def looks_like_one(text: str) -> bool:
    first = text.strip().split(maxsplit=1)
    return bool(first) and _TOOL.fullmatch(first[0]) is not None


def read(text: str) -> Meant | None:
    """None when it is no line of a known tool, or not quoted right."""
    try:
        words = shlex.split(text.strip())
    except ValueError:
        return None
    match = _TOOL.fullmatch(words[0]) if words else None
    if match is None:
        return None
    options = _options(words[1:])
    topic, group = options.get("topic"), options.get("group")
    on_topic: dict[str, object] = {"topic": topic} if topic else {}
    on_group: dict[str, object] = {"group": group} if group else {}
    match match[1]:
        case "kafka-topics":
            if "create" in options:
                wanted = {"create": topic or "", "partitions": options.get("partitions", "")}
                wanted["replication"] = options.get("replication-factor", "")
                return Meant("topics", f"Create topic {topic or ''}…".strip(), dict(wanted))
            if topic:
                return Meant("topics", f"Open topic {topic}", dict(on_topic))
            return Meant("topics", "Open the list of topics")
        case "kafka-consumer-groups":
            if "reset-offsets" in options and group:
                return Meant(
                    "groups",
                    f"Reset offsets of group {group}…",
                    {**on_group, **on_topic, "reset": True},
                )
            return Meant(
                "groups",
                f"Open group {group}" if group else "Open the list of groups",
                dict(on_group),
            )
        case "kafka-configs":
            kind = options.get("entity-type", "").rstrip("s")
            name = options.get("entity-name", topic or options.get("broker") or "")
            told = kind in ("topic", "broker") and bool(name)
            return Meant(
                "configuration",
                f"Open the configuration of {kind} {name}" if told else "Open configuration",
                {"kind": kind, "name": name} if told else {},
            )
        case "kafka-console-consumer":
            where = dict(on_topic)
            if "partition" in options and options["partition"].isdigit():
                where["partition"] = int(options["partition"])
            if options.get("offset", "").isdigit():
                where["offset"] = int(options["offset"])
            return Meant(
                "messages", f"Browse messages of {topic}" if topic else "Browse messages", where
            )
        case "kafka-console-producer":
            return Meant(
                "messages",
                f"Produce to {topic}" if topic else "Produce",
                {**on_topic, "produce": True},
            )
        case "kafka-metadata-quorum" | "kafka-broker-api-versions" | "kafka-log-dirs":
            return Meant("brokers", "Open the brokers")
    return None


def _options(words: list[str]) -> dict[str, str]:
    """``--name value``, ``--name=value`` and bare ``--name`` (an empty value)."""
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name] = value
        elif name:
            found[name] = found[name] or word
            name = ""
    return found
