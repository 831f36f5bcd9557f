"""What a demo cluster does: topics, how fast records come, what they hold, and how fast each
group reads.

A scenario is a JSON file in ``resources/demo``. In its texts ``{...}`` stands for something made
up: {uuid}, {long}, {user}, {first}, {last}, {time}, {cents}, {int:low,high}, {pick:one,other}; a
text that is one such placeholder for a number is a number. The same seed makes the same records.
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

FIRST = (
    "ada",
    "alan",
    "barbara",
    "dennis",
    "edsger",
    "grace",
    "ken",
    "leslie",
    "margaret",
    "radia",
    "tony",
    "yukihiro",
)
LAST = (
    "adler",
    "brandt",
    "castro",
    "dubois",
    "eriksen",
    "fischer",
    "garcia",
    "haddad",
    "ito",
    "jansen",
    "kovacs",
    "lindt",
)
BEYOND_DOUBLES = 2**53
USERS = 5000


@dataclass(frozen=True, slots=True)
class Traffic:
    """One topic with its producer and its one group. Rates are records per second: of all
    producers, of one consumer."""

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
    """The names that ``load`` knows."""
    folder = resources.files("resources.demo")
    return sorted(
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    )


def load(name: str) -> Scenario:
    """Raises: KeyError for an unknown name."""
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


class Inventor:
    """Makes records up."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def record(self, traffic: Traffic, now: float) -> tuple[bytes, bytes]:
        """(key, value) of one record, the value as JSON."""
        first, last = self._dice.choice(FIRST), self._dice.choice(LAST)
        known = {
            "first": first,
            "last": last,
            "user": str(self._dice.randrange(USERS)),
            "time": datetime.fromtimestamp(now, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
        }
        key = self._fill(traffic.key, known)
        value = self._make(traffic.value, known)
        return str(key).encode(), json.dumps(value, ensure_ascii=False).encode()

    def _make(self, plan: Any, known: Mapping[str, str]) -> Any:
        match plan:
            case str():
                return self._fill(plan, known)
            case Mapping():
                return {name: self._make(part, known) for name, part in plan.items()}
            case list():
                return [self._make(part, known) for part in plan]
            case _:
                return plan

    def _fill(self, text: str, known: Mapping[str, str]) -> Any:
        """Placeholders from the innermost out, so that one may stand in the choices of another."""
        if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
            return self._one(text[1:-1], known)
        while (end := text.find("}")) >= 0 and (start := text.rfind("{", 0, end)) >= 0:
            text = f"{text[:start]}{self._one(text[start + 1 : end], known)}{text[end + 1 :]}"
        return text

    def _one(self, name: str, known: Mapping[str, str]) -> Any:
        kind, _, arguments = name.partition(":")
        match kind:
            case "uuid":
                return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
            case "long":
                return BEYOND_DOUBLES + self._dice.getrandbits(40)
            case "cents":
                return self._dice.randrange(3, 15) / 100
            case "int":
                low, high = (int(part) for part in arguments.split(","))
                return self._dice.randint(low, high)
            case "pick":
                return self._dice.choice(arguments.split(","))
            case _:
                return known[kind]
