from dataclasses import replace

from kafka_client.changes import ChangeKind, diff
from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    Datum,
    Group,
    Member,
    Partition,
    Sampled,
    Topic,
)
from kafka_client.snapshot import with_groups, with_metadata, with_partitions
from tests.fakes.cluster import FakeCluster

SAMPLED = {Datum.METADATA: Sampled(1.0), Datum.GROUPS: Sampled(1.0)}


def topic(name="t", leader=1, isr=(1, 2), partitions=1, topic_id="a"):
    return Topic(
        name,
        topic_id,
        False,
        tuple(Partition(name, p, leader, 0, (1, 2), isr) for p in range(partitions)),
    )


def cluster(*topics, brokers=(1, 2), groups=(), controller=1):
    return ClusterSnapshot(
        "c",
        5.0,
        controller,
        {b: Broker(b, "h", 9092) for b in brokers},
        {t.name: t for t in topics},
        {g.group_id: g for g in groups},
        None,
        SAMPLED,
    )


def words(old, new):
    return [event.text for event in diff(old, new).events]


def test_that_the_first_snapshot_is_no_list_of_events():
    changes = diff(None, cluster(topic()))
    assert changes.first and not changes.events and changes.topics == {"t"}


def test_that_a_moved_leader_and_a_shrunk_isr_are_events():
    events = diff(cluster(topic()), cluster(topic(leader=2, isr=(2,)))).events
    assert [e.kind for e in events] == [ChangeKind.LEADER_MOVED, ChangeKind.ISR_SHRANK]
    assert events[0].text == "Leader of t-0 moved from broker 1 to broker 2"
    assert events[1].text == "In-sync set of t-0 shrank to (2): broker 1 fell out"
    assert (events[0].at_s, events[0].topic, events[0].partition, events[0].broker_id) == (
        5.0,
        "t",
        0,
        2,
    )


def test_that_brokers_topics_and_the_controller_have_their_events():
    assert words(cluster(brokers=(1, 2)), cluster(brokers=(2, 3), controller=2)) == [
        "Broker 1 is down",
        "Broker 3 is up",
        "Controller moved from broker 1 to broker 2",
    ]
    assert words(cluster(), cluster(topic())) == ["Topic t was created with 1 partition"]
    assert words(cluster(topic()), cluster()) == ["Topic t was deleted"]
    assert words(cluster(topic()), cluster(topic(topic_id="b"))) == [
        "Topic t was deleted and created again"
    ]
    assert words(cluster(topic()), cluster(topic(partitions=3))) == [
        "Topic t grew from 1 to 3 partitions"
    ]


def test_that_groups_and_members_have_their_events():
    one = Group("g", "Stable", members=(Member("m1", "app", "/10.0.0.1"),))
    two = replace(one, state="PreparingRebalance", members=(Member("m2", "app2", "/10.0.0.2"),))
    assert words(cluster(groups=[one]), cluster(groups=[two])) == [
        "Group g: Stable -> PreparingRebalance",
        "app2 (/10.0.0.2) joined group g",
        "app (/10.0.0.1) left group g",
    ]
    assert words(cluster(), cluster(groups=[one])) == ["Group g appeared"]


def test_that_moving_figures_touch_a_topic_but_are_no_event():
    old = cluster(topic())
    new = with_partitions(old, {("t", 0): {"high_watermark": 7}}, 6.0)
    changes = diff(old, new)
    assert changes.topics == {"t"} and not changes.events


def test_that_metadata_keeps_figures_and_objects_that_did_not_change():
    old = with_partitions(cluster(topic("a"), topic("b")), {("a", 0): {"high_watermark": 7}}, 5.0)
    new = with_metadata(old, cluster(topic("a", leader=2), topic("b")))
    assert new.topics["a"].partitions[0].high_watermark == 7
    assert new.topics["a"].partitions[0].leader == 2
    assert new.topics["b"] is old.topics["b"]


def test_that_a_broker_with_replicas_stays_when_the_cluster_does_not_list_it():
    new = with_metadata(cluster(topic()), cluster(topic(), brokers=(2,)))
    assert not new.brokers[1].in_cluster and new.brokers[2].in_cluster
    assert words(cluster(topic()), new) == ["Broker 1 is down"]


def test_that_groups_that_are_equal_stay_the_same_object():
    group = Group("g", "Stable")
    old = cluster(groups=[group])
    assert with_groups(old, {"g": Group("g", "Stable")}, 6.0).groups is old.groups


def test_that_the_fake_cluster_moves_leaders_and_comes_back():
    fake = FakeCluster(lambda: 1000.0).populate()
    before, during, after = (fake.metadata(1000.0 + s) for s in (10, 50, 80))
    assert len(before.brokers) == 3 and len(during.brokers) == 2
    assert any(p.under_replicated for t in during.topics.values() for p in t.partitions)
    assert all(not p.under_replicated for t in after.topics.values() for p in t.partitions)
    gone = ({1, 2, 3} - set(during.brokers)).pop()
    assert all(p.leader != gone for t in during.topics.values() for p in t.partitions)


def test_that_one_broker_that_goes_is_a_few_facts_and_not_one_per_partition():
    before = cluster(topic(partitions=40), topic("small", leader=2, isr=(1, 2)))
    after = cluster(topic(partitions=40, leader=2, isr=(2,)), topic("small", leader=2, isr=(1, 2)))
    changes = diff(before, after)
    assert [e.text for e in changes.events] == [
        "Leaders of 40 partitions moved away from broker 1",
        "Broker 1 fell out of the in-sync sets of 40 partitions",
    ]
    assert changes.events[0].partitions == tuple(("t", p) for p in range(40))
