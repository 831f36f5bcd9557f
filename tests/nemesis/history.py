"""What clients did and what came of it, and the checks over it (C1, C5, C6, C8, C9).

An operation is one event with its outcome: ``ok``, ``fail`` (it did not happen) or ``info`` (it may
or may not have happened, as after a timeout). The history is written as JSON lines when a check
fails, so that a person can follow it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

SHOWN = 3
"""How many examples of a violation its text has."""


@dataclass(frozen=True, slots=True)
class Event:
    """One operation of one client; ``offset`` and ``value`` are -1 where there is none."""

    t_ms: int
    client: str
    kind: str
    """send, read, assign, commit or fault"""
    outcome: str
    partition: int = -1
    offset: int = -1
    value: int = -1
    text: str = ""


class History:
    """Collects events from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.events: list[Event] = []

    def add(
        self,
        client: str,
        kind: str,
        outcome: str,
        partition: int = -1,
        offset: int = -1,
        value: int = -1,
        text: str = "",
    ) -> None:
        """Append an event, stamped with the milliseconds since the history began."""
        with self._lock:
            t_ms = int((time.monotonic() - self._began) * 1000)
            event = Event(t_ms, client, kind, outcome, partition, offset, value, text)
            self.events.append(event)

    def of(self, kind: str, outcome: str = "ok") -> list[Event]:
        """The events of a kind with an outcome, in order."""
        with self._lock:
            return [e for e in self.events if (e.kind, e.outcome) == (kind, outcome)]

    def write(self, path: Path) -> None:
        """Write the events as JSON lines."""
        with self._lock, path.open("w") as f:
            for event in self.events:
                f.write(json.dumps(asdict(event)) + "\n")


Stored = dict[int, list[tuple[int, int]]]
"""(offset, value) of every record by partition, in offset order."""


def violations(history: History, stored: Stored, committed: dict[int, int]) -> list[str]:
    """Check a history against the records and offsets that the healed cluster holds.

    ``stored`` is the whole content of the topic, ``committed`` the group's offset by partition.
    Returns one text for each broken property; none when all hold.
    """
    kept = {partition: dict(records) for partition, records in stored.items()}
    return [
        *_lost(history, kept),
        *_acknowledged_twice(history),
        *_read_differently(history, kept),
        *_read_out_of_order(history),
        *_repeated(stored),
        *_commits_went_back(history, committed),
        *_unread(history, committed),
    ]


def _shown(events: Sequence[object]) -> str:
    return "; ".join(str(e) for e in events[:SHOWN]) + (" ..." if len(events) > SHOWN else "")


def _lost(history: History, kept: dict[int, dict[int, int]]) -> list[str]:
    lost = [e for e in history.of("send") if kept.get(e.partition, {}).get(e.offset) != e.value]
    return [f"C1: {len(lost)} acknowledged records lost or moved: {_shown(lost)}"] if lost else []


def _acknowledged_twice(history: History) -> list[str]:
    first: dict[tuple[int, int], Event] = {}
    twice = [
        (first[e.partition, e.offset], e)
        for e in history.of("send")
        if first.setdefault((e.partition, e.offset), e) is not e
    ]
    return [f"C5: offsets acknowledged twice: {_shown(twice)}"] if twice else []


def _read_differently(history: History, kept: dict[int, dict[int, int]]) -> list[str]:
    """What a client has read was committed, so it is still there and still the same."""
    wrong = [e for e in history.of("read") if kept.get(e.partition, {}).get(e.offset) != e.value]
    return [f"C6: {len(wrong)} reads of records that are not stored: {_shown(wrong)}"] * bool(wrong)


def _read_out_of_order(history: History) -> list[str]:
    """Within one assignment a client reads a partition in offset order without a gap."""
    expected: dict[tuple[str, int], int] = {}
    wrong = []
    with_assignments = [e for e in history.events if e.kind in ("read", "assign")]
    for e in with_assignments:
        key = (e.client, e.partition)
        if e.kind == "assign":
            expected.pop(key, None)
            continue
        if expected.get(key, e.offset) != e.offset:
            wrong.append(e)
        expected[key] = e.offset + 1
    return [f"C6: {len(wrong)} reads out of order: {_shown(wrong)}"] if wrong else []


def _unread(history: History, committed: dict[int, int]) -> list[str]:
    """Every record below a committed offset was read by some member."""
    read: dict[int, set[int]] = defaultdict(set)
    for e in history.of("read"):
        read[e.partition].add(e.offset)
    missing = [
        (partition, offset)
        for partition, end in committed.items()
        for offset in range(end)
        if offset not in read[partition]
    ]
    return [f"C9: committed and never read: {_shown(missing)}"] if missing else []


def _repeated(stored: Stored) -> list[str]:
    """Each partition has one idempotent writer that counts upwards."""
    found = []
    for partition, records in stored.items():
        values = [value for _, value in records]
        wrong = [(a, b) for a, b in pairwise(values) if b <= a]
        if wrong:
            found.append(f"C8: partition {partition} repeats or reorders values: {_shown(wrong)}")
        offsets = [offset for offset, _ in records]
        if offsets != list(range(len(offsets))):
            found.append(f"C5: partition {partition} has gaps between its offsets")
    return found


def _commits_went_back(history: History, committed: dict[int, int]) -> list[str]:
    greatest: dict[int, int] = defaultdict(int)
    for e in history.of("commit"):
        greatest[e.partition] = max(greatest[e.partition], e.offset)
    back = [(p, o, committed.get(p)) for p, o in greatest.items() if committed.get(p, -1) < o]
    return [f"C9: (partition, acknowledged, stored) offsets went back: {back}"] if back else []
