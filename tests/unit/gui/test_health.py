"""The health of a cluster in counts, in the header's items, and in the sentence for old figures."""

from __future__ import annotations

from dataclasses import replace

from gui.health import Tally, connection_items, health_items, sample_age_s, stale_sentence
from kafka_client.changes import Changes
from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    Datum,
    FailedLogDir,
    Partition,
    Quorum,
    Sampled,
    Topic,
)
from kafka_client.profile import ConnectionProfile, Protocol
from kafka_client.sampling.state import ConnectionKind, ConnectionState

CONNECTED = ConnectionState(ConnectionKind.CONNECTED, "Connected.")
LOST = ConnectionState(ConnectionKind.LOST, "No broker answers.", "Start it.", retry_at_s=130.0)


def topic(name: str, *isr: tuple[int, ...], leader: int | None = 1) -> Topic:
    partitions = tuple(
        Partition(name, i, leader, 0, (1, 2), in_sync) for i, in_sync in enumerate(isr)
    )
    return Topic(name, partitions=partitions, internal=name.startswith("__"))


def snapshot(*topics: Topic, **more: object) -> ClusterSnapshot:
    brokers = {i: Broker(i, "h", 9092, reachable=True) for i in (1, 2)}
    return ClusterSnapshot(brokers=brokers, topics={t.name: t for t in topics}, **more)  # type: ignore[arg-type]


def test_that_a_tally_follows_what_changed() -> None:
    tally = Tally()
    first = snapshot(topic("a", (1, 2), (1,)), topic("b", (), leader=None), topic("__c", (1, 2)))
    tally.update(first, Changes((), True))
    assert (tally.topics, tally.internal, tally.partitions) == (3, 1, 4)
    assert (tally.under_replicated, tally.offline, tally.at_risk) == (2, 1, 1)
    second = snapshot(topic("a", (1, 2), (1, 2)), first.topics["__c"])
    tally.update(second, Changes((), False, frozenset(), frozenset({"a", "b"})))
    assert (tally.topics, tally.partitions) == (2, 3)
    assert (tally.under_replicated, tally.offline, tally.at_risk) == (0, 0, 0)


def items(cluster: ClusterSnapshot, state: ConnectionState = CONNECTED) -> list[tuple[str, str]]:
    tally = Tally()
    tally.update(cluster, Changes((), True))
    return [(item.text, item.tone) for item in health_items(cluster, state, tally)]


def test_that_a_healthy_cluster_says_so_in_three_items() -> None:
    assert items(snapshot(topic("a", (1, 2)), quorum=Quorum(2))) == [
        ("2/2 brokers", "ok"),
        ("controller 2", "ok"),
        ("all in sync", "ok"),
    ]


def test_that_trouble_takes_the_place_of_all_in_sync() -> None:
    cluster = snapshot(topic("a", (1,), ()), topic("b", (), leader=None), quorum=Quorum(None))
    assert items(cluster)[1:] == [
        ("no controller", "bad"),
        ("1 offline", "bad"),
        ("3 under-replicated", "warn"),
    ]


def test_that_a_quorum_without_a_majority_is_no_good_controller() -> None:
    """The quorum was read before its voters went down: it still names its leader."""

    def tones(*down: int, leader: int = 1) -> tuple[str, str]:
        brokers = {i: Broker(i, "h", 9092, reachable=i not in down) for i in (1, 2, 3)}
        cluster = ClusterSnapshot(brokers=brokers, quorum=Quorum(leader, voters=(1, 2, 3)))
        return items(cluster)[1]

    assert tones() == ("controller 1", "ok")
    assert tones(3) == ("controller 1", "ok")
    assert tones(1) == ("controller 1", "warn")
    assert tones(2, 3) == ("no majority", "bad")
    assert tones(1, 2, 3) == ("no majority", "bad")


def test_that_voters_that_are_no_brokers_count_as_up() -> None:
    quorum = Quorum(10, voters=(10, 11, 12))
    assert items(snapshot(quorum=quorum))[1] == ("controller 10", "ok")


def test_that_failed_log_directories_are_counted() -> None:
    cluster = snapshot(topic("a", (1, 2)), quorum=Quorum(1))
    failed = (FailedLogDir("/a", ""), FailedLogDir("/b", ""))
    brokers = {**cluster.brokers, 2: replace(cluster.brokers[2], failed_dirs=failed)}
    found = items(replace(cluster, brokers=brokers))
    assert found[1] == ("2 log directories failed", "bad")


def test_that_a_cluster_without_an_answer_has_one_item() -> None:
    assert items(snapshot(), LOST) == [("not reachable", "bad")]
    connecting = ConnectionState(ConnectionKind.CONNECTING, "Connecting…")
    assert items(ClusterSnapshot(), connecting) == [("connecting…", "text_faint")]


def test_that_the_age_is_that_of_the_older_sample() -> None:
    sampled = {
        Datum.METADATA: Sampled(1e9, steady_s=100.0),
        Datum.OFFSETS: Sampled(2e9, steady_s=90.0),
    }
    assert sample_age_s(ClusterSnapshot(sampled=sampled), 105.0) == 15.0
    assert sample_age_s(ClusterSnapshot(), 105.0) is None


def test_that_old_figures_say_why_and_when_they_are_asked_for_again() -> None:
    cluster = ClusterSnapshot(sampled={Datum.METADATA: Sampled(100.0)})
    assert stale_sentence(cluster, CONNECTED, 105.0, paused=False) == ""
    assert stale_sentence(cluster, CONNECTED, 105.0, paused=True).startswith("Paused.")
    lost = stale_sentence(cluster, LOST, 105.0, paused=False)
    assert "No broker answers." in lost and lost.endswith("Next try in 25 s.")
    assert stale_sentence(ClusterSnapshot(), LOST, 105.0, paused=False) == ""


def test_that_a_connection_that_checks_no_certificate_says_so_first() -> None:
    cluster, state = ClusterSnapshot(), ConnectionState(ConnectionKind.CONNECTING, "")
    checked = ConnectionProfile("orders", ("b:9093",), Protocol.SSL)
    unchecked = replace(checked, properties={"enable.ssl.certificate.verification": "false"})
    usual = connection_items(cluster, state, Tally(), checked)
    first, *others = connection_items(cluster, state, Tally(), unchecked)
    assert others == usual
    assert (first.text, first.tone) == ("TLS: certificate not checked", "warn")
    assert "pose as the cluster" in first.tip
