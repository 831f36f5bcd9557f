"""A simulated run as a text that a person reads: one line an event, with who did what.

Observes the brokers and listens to the world and the clients' history; it changes nothing of the
run. Only the newest lines are kept.

    12.340 s  nemesis   kill broker 2 (leader) for 1500 ms
    13.101 s  cluster   data-0: leader broker 1 in epoch 3, in sync 1 3
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from embedded_broker.core.effects import Effect
from embedded_broker.core.events import Event
from embedded_broker.core.quorum.voter import Role
from embedded_broker.simulator.history import History
from embedded_broker.simulator.node import Node, Observer
from embedded_broker.simulator.world import World
from kafka_protocol.errors import ErrorCode

KEPT_LINES = 2_000
CLUSTER, CHECKER = "cluster", "checker"
VALUES_SHOWN = 3


def headline(failure: str) -> str:
    """The line of a failure that says what it is: its first, or the last of a traceback."""
    first, *others = failure.strip().splitlines()
    head, traceback, _ = first.partition("Traceback")
    return f"{head}{others[-1]}" if traceback and others else first


class Line(NamedTuple):
    """An event: when, who, what."""

    time_ms: int
    who: str
    text: str

    def __str__(self) -> str:
        return f"{self.time_ms / 1000:8.3f} s  {self.who:<9} {self.text}"


class Transcript(Observer):
    """The lines of one run. ``only`` keeps those of or about any of these, such as "broker 2";
    ``topics`` leaves out what is about other topics."""

    def __init__(
        self, only: Iterable[str] = (), topics: Iterable[str] = (), keep: int = KEPT_LINES
    ) -> None:
        self._only = [re.compile(rf"\b{re.escape(name)}\b") for name in only]
        self._topics = frozenset(topics)
        self._lines: deque[Line] = deque(maxlen=keep)
        self._left_out = 0
        self._roles: dict[int, tuple[Role, int, int]] = {}
        self._versions: dict[int, int] = {}
        """The version of the image by node, as it was last compared."""
        self._newest = 0
        """The metadata offset up to which changes are in the transcript."""
        self._partitions: dict[tuple[str, int], Any] = {}
        self._alive: dict[int, bool] = {}
        self._high_watermarks: dict[tuple[int, str, int], int] = {}

    def attach(self, world: World, nodes: Mapping[int, Node], history: History) -> None:
        """Follow a run from its start."""
        self._world = world
        world.on_event = self.add
        history.on_operation = self._operation
        for node in nodes.values():
            node.observers.append(self)

    def lines(self) -> list[str]:
        """The kept lines, oldest first; the first says how many there were before them."""
        left_out = [f"({self._left_out} earlier lines are left out)"] if self._left_out else []
        return [*left_out, *map(str, self._lines)]

    def add(self, who: str, text: str, *topics: str) -> None:
        """Add a line, unless it is filtered out."""
        if self._topics:
            about = topics or self._mentioned(text)
            if about and self._topics.isdisjoint(about):
                return
        whole = f"{who} {text}"
        if self._only and who != CHECKER and not any(name.search(whole) for name in self._only):
            return
        self._left_out += len(self._lines) == self._lines.maxlen
        self._lines.append(Line(self._world.now_ms, who, text))

    def _mentioned(self, text: str) -> set[str]:
        """The topics whose partitions a line of a broker's log names."""
        return {topic for topic, index in self._partitions if f"{topic}-{index}" in text}

    def found(self, failure: str) -> None:
        """Add the finding that ended the run."""
        self.add(CHECKER, f"FOUND {headline(failure)}")

    # ---- brokers
    def started(self, node: Node) -> None:
        for key in [key for key in self._high_watermarks if key[0] == node.node_id]:
            del self._high_watermarks[key]
        self._roles.pop(node.node_id, None)
        self._versions.pop(node.node_id, None)

    def after_event(self, node: Node, event: Event, effects: list[Effect]) -> None:
        self._compare_quorum(node)
        image = node.broker.image
        if self._versions.get(node.node_id) != image.version:
            self._versions[node.node_id] = image.version
            if image.offset > self._newest:  # the first to apply it; the others follow
                self._newest = image.offset
                self._compare_image(image)
        for (topic, index), partition in node.broker.replicas.partitions.items():
            key = (node.node_id, topic, index)
            now = partition.high_watermark
            before = self._high_watermarks.get(key, 0)
            if partition.is_leader and now != before:
                who = f"broker {node.node_id}"
                self.add(who, f"{topic}-{index}: high watermark {before} -> {now}", topic)
                self._high_watermarks[key] = now

    def _compare_quorum(self, node: Node) -> None:
        quorum = node.broker.quorum
        now = (quorum.role, quorum.epoch, quorum.leader_id)
        before = self._roles.get(node.node_id)
        if now == before:
            return
        self._roles[node.node_id] = now
        role, epoch, leader = now
        text = f"quorum: {role.name.lower()} in epoch {epoch}"
        if leader >= 0 and leader != node.node_id:
            text += f", leader broker {leader}"
        self.add(f"broker {node.node_id}", text)

    def _compare_image(self, image: Any) -> None:
        for broker_id in sorted(image.brokers):
            alive = image.alive(broker_id)
            if self._alive.get(broker_id) != alive:
                self._alive[broker_id] = alive
                self.add(CLUSTER, f"broker {broker_id} is {'unfenced' if alive else 'fenced'}")
        found = {
            (name, index): (p.leader, p.leader_epoch, tuple(p.isr), tuple(p.elr))
            for name, topic in sorted(image.topics.items())
            for index, p in sorted(topic.partitions.items())
        }
        for key in sorted(set(self._partitions) - set(found)):
            self.add(CLUSTER, f"{key[0]}-{key[1]} is deleted", key[0])
        for key, now in found.items():
            if self._partitions.get(key) != now:
                self.add(CLUSTER, f"{key[0]}-{key[1]}: {_described(*now)}", key[0])
        self._partitions = found

    # ---- clients
    def _operation(self, type_: str, process: str, function: str, value: Any) -> None:
        match function, type_:
            case "send", "invoke":
                topic, index, values = value
                self.add(process, f"sends to {topic}-{index}: {_few(values)}", topic)
            case "send", "info":
                topic, index, values = value
                self.add(process, f"gave up on {topic}-{index}: {_few(values)}", topic)
            case "send", _:
                topic, index, offset, values = value
                at = f"at {offset}" if offset >= 0 else "as a duplicate"
                self.add(process, f"acknowledged {at} of {topic}-{index}: {_few(values)}", topic)
            case "poll", _:
                topic, index, position, values = value
                read = f"{topic}-{index} from {position}: {_few(values)}"
                self.add(process, f"reads {read}", topic)
            case "assign", _:
                group, generation, _, mine = value
                owned = _few([f"{topic}-{index}" for topic, index in mine]) or "nothing"
                topics = [topic for topic, _ in mine]
                self.add(process, f"{group} generation {generation}: owns {owned}", *topics)
            case "committed", _:
                group, offsets = value
                self.add(process, f"{group}: committed are {_offsets(offsets)}", *_of(offsets))
            case "commit", _:
                group, generation, offsets, *codes = value
                verb = {"invoke": "commits", "ok": "committed"}.get(type_, "may have committed")
                why = f" ({ErrorCode(codes[0]).name})" if codes and codes[0] else ""
                text = f"{group} generation {generation}: {verb} {_offsets(offsets)}{why}"
                self.add(process, text, *_of(offsets))
            case "create" | "delete", _:
                topic, code = value
                outcome = "no answer" if code is None else ErrorCode(code).name
                self.add(process, f"{function}s topic {topic}: {outcome}", topic)
            case _:
                self.add(process, f"{function} {type_} {value}")


def _described(leader: int, epoch: int, isr: tuple[int, ...], elr: tuple[int, ...]) -> str:
    who = f"leader broker {leader}" if leader >= 0 else "no leader"
    eligible = f", eligible {' '.join(map(str, sorted(elr)))}" if elr else ""
    return f"{who} in epoch {epoch}, in sync {' '.join(map(str, sorted(isr)))}{eligible}"


def _few(values: list[str]) -> str:
    more = len(values) - VALUES_SHOWN
    return " ".join(values[:VALUES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _offsets(offsets: list[Any]) -> str:
    return _few([f"{topic}-{index} at {offset}" for topic, index, offset in offsets])


def _of(offsets: list[Any]) -> list[str]:
    return [topic for topic, _, _ in offsets]
