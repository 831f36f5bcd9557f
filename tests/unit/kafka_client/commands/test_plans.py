"""Plans say what they will do, do it through the gateway, and take it back where they can."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kafka_client.api import LATEST
from kafka_client.commands import configs, groups, topics
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.commands.plan import Plan
from kafka_client.errors import BadInput
from kafka_client.model import (
    ClusterSnapshot,
    ConfigChange,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    Group,
    Member,
    NewTopic,
    PartitionLag,
)
from tests.fakes.client import FakeClient

AT = "127.0.0.1:9092"


def client() -> FakeClient:
    return FakeClient(moving=False)


async def snapshot_of(fake: FakeClient) -> ClusterSnapshot:
    return await fake.metadata()


async def test_that_a_created_topic_is_there_and_the_command_says_the_same() -> None:
    fake = client()
    plan = topics.create_topic(
        await snapshot_of(fake), NewTopic("invoices", 4, 3, {"retention.ms": "1000"}), AT
    )
    assert plan.command == (
        f"kafka-topics.sh --bootstrap-server {AT} --create --topic invoices --partitions 4"
        " --replication-factor 3 --config retention.ms=1000"
    )
    await plan.apply(fake)
    assert len((await snapshot_of(fake)).topics["invoices"].partitions) == 4


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "x" * 250, "a/b", "größe"])
async def test_that_a_name_kafka_would_refuse_is_refused_with_a_sentence(name: str) -> None:
    snapshot = await snapshot_of(client())
    with pytest.raises(BadInput) as refused:
        topics.create_topic(snapshot, NewTopic(name, 1, 1), AT)
    assert str(refused.value).endswith(".")


async def test_that_more_replicas_than_brokers_are_refused_before_anything_is_sent() -> None:
    fake = client()
    snapshot = await snapshot_of(fake)
    fake.calls.clear()
    with pytest.raises(BadInput, match="need as many brokers"):
        topics.create_topic(snapshot, NewTopic("wide", 1, 9), AT)
    assert fake.calls == []


async def test_that_deleting_asks_for_the_name_and_names_the_readers() -> None:
    fake = client()
    snapshot = await snapshot_of(fake)
    plan = topics.delete_topics(snapshot, ["email"], AT)
    assert plan.destructive
    assert plan.confirm == "email" and plan.title == "Delete topic email"
    assert await plan.apply(fake) == "email is deleted."
    assert "email" not in (await snapshot_of(fake)).topics


async def test_that_readers_of_a_topic_to_delete_are_named() -> None:
    lag = PartitionLag("email", 0, 1, 2, 1)
    busy = Group("senders", "Stable", members=(Member("m", "c", "h"),), lags=(lag,))
    snapshot = replace(await snapshot_of(client()), groups={"senders": busy})
    plan = topics.delete_topics(snapshot, ["email", "sms"], AT)
    assert "senders reads from them now." in plan.warnings
    assert (plan.title, plan.confirm) == ("Delete 2 topics", "delete 2 topics")
    assert len(plan.command.splitlines()) == 2


async def test_that_kafkas_own_topics_cannot_be_deleted_from_here() -> None:
    snapshot = await snapshot_of(client())
    with pytest.raises(BadInput, match="belongs to Kafka itself"):
        topics.delete_topics(snapshot, ["__consumer_offsets"], AT)


async def test_that_partitions_are_only_added() -> None:
    fake = client()
    snapshot = await snapshot_of(fake)
    with pytest.raises(BadInput, match="never removed"):
        topics.add_partitions(snapshot, "email", 2, AT)
    await topics.add_partitions(snapshot, "email", 5, AT).apply(fake)
    assert len((await snapshot_of(fake)).topics["email"].partitions) == 5


async def test_that_emptying_moves_the_start_to_the_end() -> None:
    fake = client()
    await topics.empty_topic(await snapshot_of(fake), "email", AT).apply(fake)
    partitions = [("email", p) for p in range(3)]
    starts, _ = await fake.offsets(dict.fromkeys(partitions, -2))
    ends, _ = await fake.offsets(dict.fromkeys(partitions, LATEST))
    assert starts == ends


def run_file(command: str) -> tuple[str, str]:
    """(content of the file, last line) of a command that first writes a file."""
    start, *content, end, tool = command.splitlines()
    assert start.startswith("cat > ") and start.endswith(" <<'END'") and end == "END"
    assert start.split()[2] in tool
    return "\n".join(content), tool


async def test_that_the_command_for_emptying_comes_with_its_file() -> None:
    plan = topics.empty_topic(await snapshot_of(client()), "email", AT)
    content, tool = run_file(plan.command)
    assert "--offset-json-file" in tool
    assert json.loads(content)["partitions"] == [
        {"topic": "email", "partition": p, "offset": -1} for p in range(3)
    ]
    plan = topics.empty_topic(await snapshot_of(client()), "email", AT, {1: 7})
    assert json.loads(run_file(plan.command)[0])["partitions"] == [
        {"topic": "email", "partition": 1, "offset": 7}
    ]


async def test_that_electing_leaders_of_some_partitions_names_only_those() -> None:
    snapshot = await snapshot_of(client())
    topic = snapshot.topics["email"]
    moved = tuple(replace(p, leader=p.replicas[1]) for p in topic.partitions)
    snapshot = replace(
        snapshot, topics={**snapshot.topics, "email": replace(topic, partitions=moved)}
    )
    one = topics.elect_preferred(snapshot, [("email", 1), ("sms", 0)], AT)
    assert [row.subject for row in one.rows] == ["email 1"]
    assert one.command.endswith("--election-type preferred --topic email --partition 1")
    many = topics.elect_preferred(snapshot, [("email", 0), ("email", 2)], AT)
    content, tool = run_file(many.command)
    assert "--all-topic-partitions" not in tool and "--path-to-json-file" in tool
    assert json.loads(content)["partitions"] == [
        {"topic": "email", "partition": 0},
        {"topic": "email", "partition": 2},
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("boolean", "true", "yes"),
        ("int", "5", "5.5"),
        ("short", "3", "99999"),
        ("long", "-1", "x"),
        ("double", "0.5", "?"),
    ],
)
def test_that_a_value_is_checked_against_the_settings_type(kind: str, good: str, bad: str) -> None:
    entry = ConfigEntry("a.setting", "1", ConfigSource.DEFAULT, kind=kind)
    assert configs.check_value(entry, good) == ""
    assert configs.check_value(entry, bad) != ""


async def test_that_a_changed_setting_is_taken_back_by_its_undo() -> None:
    fake = client()
    resource = ConfigResource("topic", "email")
    before = await fake.configs([resource])
    entry = next(e for e in before[resource] if e.name == "retention.ms")
    plan = configs.change_configs(before, [ConfigChange(resource, "retention.ms", "4242")], AT)
    assert "--add-config retention.ms=4242" in plan.command
    await plan.apply(fake)
    changed = {e.name: e.value for e in (await fake.configs([resource]))[resource]}
    assert changed["retention.ms"] == "4242"
    assert plan.undo is not None
    await plan.undo().apply(fake)
    again = next(e for e in (await fake.configs([resource]))[resource] if e.name == "retention.ms")
    assert (again.value, again.source) == (entry.value, entry.source)


async def test_that_a_secret_value_is_never_in_a_plan() -> None:
    resource = ConfigResource("broker", "1")
    secret = ConfigEntry(
        "ssl.key.password", None, ConfigSource.FILE, sensitive=True, kind="password"
    )
    plan = configs.change_configs(
        {resource: [secret]}, [ConfigChange(resource, secret.name, "CANARY")], AT
    )
    assert "CANARY" not in repr(plan.rows) + plan.command + plan.title
    assert plan.undo is None


def offsets_of(plan: Plan) -> list[tuple[str, str]]:
    return [(row.old, row.new) for row in plan.rows]


async def test_that_a_reset_shows_each_partition_goes_there_and_comes_back() -> None:
    fake = client()
    group = next(g for g, found in (await fake.list_groups())[0].items() if found.state == "Empty")
    committed = (await fake.committed([group]))[0][group]
    partitions = sorted(committed)
    plan = await groups.plan_reset(fake, group, partitions, ResetSpec(ResetTo.LATEST), AT)
    assert len(plan.rows) == len(partitions)
    assert "--to-latest --execute" in plan.command
    assert any("never read" in w for w in plan.warnings)
    await plan.apply(fake)
    ends, _ = await fake.offsets(dict.fromkeys(partitions, LATEST))
    now = {tp: offset for tp, (offset, _) in (await fake.committed([group]))[0][group].items()}
    assert now == ends
    assert plan.undo is not None
    await plan.undo().apply(fake)
    assert (await fake.committed([group]))[0][group] == {
        tp: (o, "") for tp, (o, _) in committed.items()
    }


async def test_that_the_undo_of_a_reset_names_each_partitions_own_offset() -> None:
    committed = {("orders", 0): 17, ("orders", 1): 20, ("orders", 2): 23}
    targets = dict.fromkeys(committed, (0, ""))
    plan = groups.reset_plan("g", committed, targets, ResetSpec(ResetTo.EARLIEST), AT)
    assert plan.undo is not None
    content, tool = run_file(plan.undo().command)
    assert content.splitlines() == ["orders,0,17", "orders,1,20", "orders,2,23"]
    assert tool.endswith("--group g --reset-offsets --from-file offsets.csv --execute")


def test_that_the_undo_of_an_undo_is_the_change_again() -> None:
    plan = groups.reset_plan("g", {("t", 0): 5}, {("t", 0): (9, "")}, None, AT)
    assert plan.undo is not None
    again = plan.undo().undo
    assert again is not None and run_file(again().command)[0] == "t,0,9"


def test_that_a_value_with_commas_stays_one_value_on_the_command_line() -> None:
    resource = ConfigResource("topic", "email")
    change = ConfigChange(resource, "cleanup.policy", "compact,delete")
    plan = configs.change_configs({resource: []}, [change], AT)
    assert "--add-config 'cleanup.policy=[compact,delete]'" in plan.command


async def test_that_a_shift_stays_inside_what_the_partition_holds() -> None:
    fake = client()
    partitions = [("email", 0)]
    ends, _ = await fake.offsets({("email", 0): LATEST})
    targets = await groups.reset_targets(
        fake, partitions, {("email", 0): 5}, ResetSpec(ResetTo.SHIFT, 10**12)
    )
    offset, note = targets["email", 0]
    assert offset == ends["email", 0]
    assert "only" in note


async def test_that_a_group_with_members_is_not_reset() -> None:
    fake = client()
    group = next(g for g, found in (await fake.list_groups())[0].items() if found.state == "Stable")
    with pytest.raises(BadInput, match="stop its consumers first"):
        await groups.plan_reset(fake, group, [("email", 0)], ResetSpec(ResetTo.LATEST), AT)


def test_that_a_group_with_members_is_not_deleted() -> None:
    busy = Group("busy", "Stable", members=(Member("m", "c", "h"),))
    with pytest.raises(BadInput, match="busy has members"):
        groups.delete_groups(ClusterSnapshot(groups={"busy": busy}), ["busy"], AT)
