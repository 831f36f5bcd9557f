"""How a cluster is, in counts and in words: a running tally over its topics, and what the header
says of it."""

from __future__ import annotations

from dataclasses import dataclass

from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot, Datum, Topic
from kafka_client.sampling.state import ConnectionKind, ConnectionState
from kafka_client.wording import counted
from widgets import figures


@dataclass(frozen=True, slots=True)
class TopicCounts:
    partitions: int = 0
    under_replicated: int = 0
    offline: int = 0
    at_risk: int = 0
    """more than one replica wanted, one in sync"""


def count_topic(topic: Topic) -> TopicCounts:
    under = offline = risk = 0
    for partition in topic.partitions:
        in_sync, wanted = len(partition.isr), len(partition.replicas)
        if partition.leader is None or partition.leader < 0:
            offline += 1
        if in_sync < wanted:
            under += 1
            risk += in_sync == 1
    return TopicCounts(len(topic.partitions), under, offline, risk)


class Tally:
    """Counts over all topics, kept up to date by what changed."""

    def __init__(self) -> None:
        self._topics: dict[str, tuple[Topic, TopicCounts]] = {}
        self.topics = self.internal = 0
        self.partitions = self.under_replicated = self.offline = self.at_risk = 0

    def update(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        names = snapshot.topics.keys() if changes.first or not self._topics else changes.topics
        for name in names:
            topic = snapshot.topics.get(name)
            before = self._topics.get(name)
            if before is not None and before[0] is topic:
                continue
            if before is not None:
                self._add(before[1], -1)
                del self._topics[name]
            if topic is not None:
                counts = count_topic(topic)
                self._topics[name] = (topic, counts)
                self._add(counts, 1)
        self.topics = len(snapshot.topics)
        self.internal = sum(t.internal for t in snapshot.topics.values())

    def _add(self, counts: TopicCounts, sign: int) -> None:
        self.partitions += sign * counts.partitions
        self.under_replicated += sign * counts.under_replicated
        self.offline += sign * counts.offline
        self.at_risk += sign * counts.at_risk


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing the header says: tone is ok, warn, bad or text_faint."""

    words: str
    tone: str
    tip: str = ""
    page: str = ""


def brokers_up(snapshot: ClusterSnapshot) -> int:
    return sum(1 for b in snapshot.brokers.values() if b.in_cluster and b.reachable is not False)


def signs(snapshot: ClusterSnapshot, state: ConnectionState, tally: Tally) -> list[Sign]:
    """What stands beside the cluster's name, most important first."""
    if state.kind is ConnectionKind.LOST:
        return [Sign("not reachable", "bad", f"{state.sentence} {state.next_step}".strip(), "")]
    if not snapshot.brokers:
        return [Sign("connecting…", "text_faint", state.sentence)]
    up, total = brokers_up(snapshot), len(snapshot.brokers)
    found = [
        Sign(
            f"{up}/{total} brokers",
            "ok" if up == total else "bad" if up == 0 else "warn",
            state.sentence,
            "brokers",
        )
    ]
    quorum = snapshot.quorum
    controller = quorum.leader_id if quorum is not None else snapshot.controller_id
    if controller is not None and controller >= 0:
        found.append(
            Sign(f"controller {controller}", "ok", "Leader of the metadata quorum.", "brokers")
        )
    elif quorum is not None:
        found.append(
            Sign("no controller", "bad", "The metadata quorum has no leader now.", "brokers")
        )
    if tally.offline:
        words = f"{counted(tally.offline, 'partition')} offline"
        found.append(
            Sign(words, "bad", "No leader: nothing can be produced there or read.", "topics")
        )
    if tally.under_replicated:
        words = f"{figures.count(tally.under_replicated)} under-replicated"
        found.append(
            Sign(
                words,
                "warn",
                "Partitions with fewer replicas in sync than they should have.",
                "topics",
            )
        )
    elif not tally.offline and tally.partitions:
        found.append(
            Sign(
                "all in sync",
                "ok",
                f"{counted(tally.partitions, 'partition')} fully in sync.",
                "topics",
            )
        )
    return found


def sample_age_s(snapshot: ClusterSnapshot, now_s: float) -> float | None:
    """Of the metadata or the offsets, whichever is older: what most of the window shows."""
    ages = [
        now_s - sampled.at_s
        for datum in (Datum.METADATA, Datum.OFFSETS)
        if (sampled := snapshot.sampled.get(datum)) is not None and sampled.at_s is not None
    ]
    return max(ages) if ages else None


def stale_sentence(
    snapshot: ClusterSnapshot, state: ConnectionState, now_s: float, paused: bool
) -> str:
    """What the band above a page says while its figures are old; empty when they are not."""
    sampled = snapshot.sampled.get(Datum.METADATA)
    at_s = sampled.at_s if sampled is not None else None
    if at_s is None:
        return ""
    if paused:
        return f"Paused. Figures as of {figures.clock(at_s)}."
    if state.kind is ConnectionKind.LOST:
        again = ""
        if state.retry_at_s is not None and state.retry_at_s > now_s:
            again = f" Next try in {figures.duration(state.retry_at_s - now_s)}."
        return f"As of {figures.clock(at_s)}: {state.sentence}{again}"
    return ""
