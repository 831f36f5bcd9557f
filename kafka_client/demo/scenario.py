"""Scenarios of the demo: topics, the rates and contents of their records, and the rate at which
each group reads.

A scenario is a JSON file in ``resources/demo``. In its texts ``{...}`` is a placeholder for a
generated value: {uuid}, {long}, {user}, {first}, {last}, {time}, {cents}, {int:low,high},
{pick:one,other}. A text that consists of one placeholder for a number becomes a number. The same
seed generates the same records.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

FIRST = "ada alan barbara dennis edsger grace ken leslie margaret radia tony yukihiro".split()
LAST = "adler brandt castro dubois eriksen fischer garcia haddad ito jansen kovacs lindt".split()
BEYOND_DOUBLES = 2**53
"""{long} is larger: viewers that read JSON numbers as doubles show it wrong."""
USERS = 5000


@dataclass(frozen=True, slots=True)
class Traffic:
    """One topic with its producer and its one group. ``records_per_s`` is produced to the topic,
    ``consumer_records_per_s`` is what one member of the group reads."""

    topic: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]
    records_per_s: float
    group: str
    consumer_records_per_s: float
    key: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    text: str
    traffic: tuple[Traffic, ...]


def scenarios() -> list[str]:
    """The names of all scenarios."""
    folder = resources.files("resources.demo")
    return sorted(
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    )


def load(name: str) -> Scenario:
    """Read a scenario. Raises: KeyError for an unknown name."""
    if name not in scenarios():
        raise KeyError(name)
    data = json.loads(
        resources.files("resources.demo").joinpath(f"{name}.json").read_text(encoding="utf-8")
    )
    return Scenario(
        data["name"],
        data["title"],
        data["text"],
        tuple(
            Traffic(
                topic["name"],
                topic["partitions"],
                topic["replication_factor"],
                topic["configs"],
                float(topic["records_per_s"]),
                topic["group"],
                float(topic["consumer_records_per_s"]),
                topic["key"],
                topic["value"],
            )
            for topic in data["topics"]
        ),
    )


class RecordGenerator:
    """Generates records from the templates of a scenario."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def record(self, traffic: Traffic, now: float) -> tuple[bytes, bytes]:
        """(key, value) of one record, the value as JSON. ``now``: seconds since the epoch."""
        first, last = self._rng.choice(FIRST), self._rng.choice(LAST)
        values = {
            "first": first,
            "last": last,
            "user": str(self._rng.randrange(USERS)),
            "time": datetime.fromtimestamp(now, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
        }
        key = self._fill(traffic.key, values)
        value = self._generate(traffic.value, values)
        return str(key).encode(), json.dumps(value, ensure_ascii=False).encode()

    def _generate(self, template: Any, values: Mapping[str, str]) -> Any:
        match template:
            case str():
                return self._fill(template, values)
            case Mapping():
                return {name: self._generate(part, values) for name, part in template.items()}
            case list():
                return [self._generate(part, values) for part in template]
            case _:
                return template

    def _fill(self, text: str, values: Mapping[str, str]) -> Any:
        """Replace placeholders from the innermost outwards: a choice may hold a placeholder."""
        if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
            return self._value(text[1:-1], values)
        while (end := text.find("}")) >= 0 and (start := text.rfind("{", 0, end)) >= 0:
            text = f"{text[:start]}{self._value(text[start + 1 : end], values)}{text[end + 1 :]}"
        return text

    def _value(self, name: str, values: Mapping[str, str]) -> Any:
        kind, _, arguments = name.partition(":")
        match kind:
            case "uuid":
                return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
            case "long":
                return BEYOND_DOUBLES + self._rng.getrandbits(40)
            case "cents":
                return self._rng.randrange(3, 15) / 100
            case "int":
                low, high = (int(part) for part in arguments.split(","))
                return self._rng.randint(low, high)
            case "pick":
                return self._rng.choice(arguments.split(","))
            case _:
                return values[kind]
