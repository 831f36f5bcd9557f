"""The health of a cluster in counts and in words: a tally over its topics, the items of the header,
and the sentence for figures that are old."""

from __future__ import annotations

from dataclasses import dataclass

from gui.health_item import HealthItem
from gui.status import BAD, CONNECTION_STATUS, IN_SYNC, OK, WARN, Status, replica_status
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot, Datum, Topic
from kafka_client.profile import ConnectionProfile
from kafka_client.sampling.state import ConnectionKind, ConnectionState
from resources.wording import counted, counted_is, numbered, verb
from widgets import figures

TIPS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TopicCounts:
    partitions: int = 0
    under_replicated: int = 0
    offline: int = 0
    at_risk: int = 0
    """replicated partitions with a single in-sync replica left"""


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
    """Counts over all topics of a session, updated by what changed between two snapshots."""

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


def brokers_up(snapshot: ClusterSnapshot) -> int:
    return sum(1 for b in snapshot.brokers.values() if b.in_cluster and b.reachable is not False)


def _brokers_down(snapshot: ClusterSnapshot) -> set[int]:
    """Brokers that are known not to answer, or to have left the cluster."""
    brokers = snapshot.brokers.values()
    return {b.broker_id for b in brokers if not b.in_cluster or b.reachable is False}


def connection_items(
    snapshot: ClusterSnapshot, state: ConnectionState, tally: Tally, profile: ConnectionProfile
) -> list[HealthItem]:
    """Return what the header shows beside the cluster's name: how far the connection can be
    trusted, then the cluster's health."""
    items = health_items(snapshot, state, tally)
    if profile.unchecked:
        words = "name not checked" if profile.checks_certificate else "certificate not checked"
        items.insert(0, HealthItem(f"TLS: {words}", WARN, profile.unchecked))
    return items


def health_items(
    snapshot: ClusterSnapshot, state: ConnectionState, tally: Tally
) -> list[HealthItem]:
    """Return what the header shows of the cluster's health, the most important first."""
    if state.kind is ConnectionKind.LOST:
        lost = CONNECTION_STATUS[ConnectionKind.LOST]
        return [HealthItem(lost.text, lost.tone, f"{state.sentence} {state.next_step}".strip())]
    if not snapshot.brokers:
        connecting = CONNECTION_STATUS[ConnectionKind.CONNECTING]
        return [HealthItem(f"{connecting.text}…", connecting.tone, state.sentence)]
    items = [_brokers_item(snapshot, state), *_disk_items(snapshot)]
    controller = _controller_item(snapshot)
    if controller is not None:
        items.append(controller)
    return items + _partition_items(tally)


def _brokers_item(snapshot: ClusterSnapshot, state: ConnectionState) -> HealthItem:
    up, total = brokers_up(snapshot), len(snapshot.brokers)
    tone = OK if up == total else WARN if up else BAD
    return HealthItem(f"{up}/{counted(total, 'broker')}", tone, state.sentence, "brokers")


def _disk_items(snapshot: ClusterSnapshot) -> list[HealthItem]:
    failed = [
        f"Broker {broker.broker_id}: {failed.path}"
        for broker in snapshot.brokers.values()
        for failed in broker.failed_dirs
    ]
    if not failed:
        return []
    directories = counted(len(failed), "log directory", "log directories")
    return [HealthItem(f"{directories} failed", BAD, "\n".join(failed[:TIPS_SHOWN]), "brokers")]


def _controller_item(snapshot: ClusterSnapshot) -> HealthItem | None:
    """None when the cluster does not name its controller."""
    quorum = snapshot.quorum
    controller = quorum.leader_id if quorum is not None else snapshot.controller_id
    down = sorted(set(quorum.voters) & _brokers_down(snapshot)) if quorum is not None else []
    if quorum is not None and down:
        # Nobody may answer that could say so: the quorum that was read last still has its leader.
        needed = len(quorum.voters) // 2 + 1
        up = len(quorum.voters) - len(down)
        who = f"{numbered('broker', down)} {verb(len(down), 'does', 'do')} not answer"
        if up < needed:
            tip = (
                f"The metadata quorum needs {needed} of its {len(quorum.voters)} voters, and {who}."
                " Start them: until then no leader is elected and nothing can be changed."
            )
            return HealthItem("no majority", BAD, tip, "brokers")
        if controller in down:
            tip = f"The active controller, {who}: the others elect another one."
            return HealthItem(f"controller {controller}", WARN, tip, "brokers")
    if controller is not None and controller >= 0:
        tip = "The active controller: the leader of the metadata quorum."
        return HealthItem(f"controller {controller}", OK, tip, "brokers")
    if quorum is not None:
        return HealthItem("no controller", BAD, "The metadata quorum has no leader.", "brokers")
    return None


def _partition_items(tally: Tally) -> list[HealthItem]:
    items = []
    if tally.offline:
        items.append(_replica_item(replica_status(tally.offline, 0)))
    if tally.under_replicated:
        items.append(_replica_item(replica_status(0, tally.under_replicated)))
    if not items and tally.partitions:
        tip = f"{counted_is(tally.partitions, 'partition')} fully in sync."
        items.append(HealthItem(f"all {IN_SYNC.text}", IN_SYNC.tone, tip, "topics"))
    return items


def _replica_item(status: Status) -> HealthItem:
    return HealthItem(status.text, status.tone, status.meaning, "topics")


def sample_age_s(snapshot: ClusterSnapshot, steady_now_s: float) -> float | None:
    """Age in seconds of the older of the last metadata and offsets samples, by the steady clock.

    None before the first sample.
    """
    ages = [
        steady_now_s - sampled.steady_s
        for datum in (Datum.METADATA, Datum.OFFSETS)
        if (sampled := snapshot.sampled.get(datum)) is not None and sampled.steady_s is not None
    ]
    return max(ages) if ages else None


def stale_sentence(
    snapshot: ClusterSnapshot, state: ConnectionState, steady_now_s: float, paused: bool
) -> str:
    """Text of the band above a page while its figures are old; empty while they are not."""
    sampled = snapshot.sampled.get(Datum.METADATA)
    at_s = sampled.at_s if sampled is not None else None
    if at_s is None:
        return ""
    if paused:
        return f"Paused. Figures as of {figures.clock(at_s)}."
    if state.kind is ConnectionKind.LOST:
        again = ""
        if state.retry_at_s is not None and state.retry_at_s > steady_now_s:
            again = f" Next try in {figures.duration(state.retry_at_s - steady_now_s)}."
        return f"As of {figures.clock(at_s)}: {state.sentence}{again}"
    return ""
