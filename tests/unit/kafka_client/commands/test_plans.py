"""Plans say what they will do, do it through the gateway, and take it back where they can."""

from __future__ import annotations

import pytest

from kafka_client.api import LATEST
from kafka_client.commands import configs, groups, topics
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.errors import BadInput
from kafka_client.model import (
    ClusterSnapshot,
    ConfigChange,
    ConfigResource,
    Group,
    Member,
    NewTopic,
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
        f"kafka-topics.sh --bootstrap-server {AT} --create --topic invoices --partitions 4 --replication-factor 3 "
        "--config retention.ms=1000"
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
    with pytest.raises(BadInput, match="needs as many brokers"):
        topics.create_topic(snapshot, NewTopic("wide", 1, 9), AT)
    assert fake.calls == []


async def test_that_deleting_asks_for_the_name_and_names_who_reads() -> None:
    fake = client()
    snapshot = await snapshot_of(fake)
    plan = topics.delete_topics(snapshot, ["email"], AT)
    assert plan.destructive
    assert plan.confirm == "email"
    await plan.apply(fake)
    assert "email" not in (await snapshot_of(fake)).topics


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
    entry = configs.ConfigEntry("a.setting", "1", configs.ConfigSource.DEFAULT, kind=kind)
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
    secret = configs.ConfigEntry(
        "ssl.key.password", None, configs.ConfigSource.FILE, sensitive=True, kind="password"
    )
    plan = configs.change_configs(
        {resource: [secret]}, [ConfigChange(resource, secret.name, "CANARY")], AT
    )
    assert "CANARY" not in repr(plan.rows) + plan.command + plan.title
    assert plan.undo is None


def offsets_of(plan: groups.Plan) -> list[tuple[str, str]]:
    return [(row.old, row.new) for row in plan.rows]


async def test_that_a_reset_shows_each_partition_goes_there_and_comes_back() -> None:
    fake = client()
    group = next(g for g, found in (await fake.list_groups())[0].items() if found.state == "Empty")
    committed = (await fake.committed([group]))[0][group]
    partitions = sorted(committed)
    plan = await groups.plan_reset(fake, group, partitions, ResetSpec(ResetTo.LATEST), AT)
    assert len(plan.rows) == len(partitions)
    assert "--to-latest --execute" in plan.command
    assert any("never be read" in w for w in plan.warnings)
    await plan.apply(fake)
    ends, _ = await fake.offsets(dict.fromkeys(partitions, LATEST))
    now = {tp: offset for tp, (offset, _) in (await fake.committed([group]))[0][group].items()}
    assert now == ends
    assert plan.undo is not None
    await plan.undo().apply(fake)
    assert (await fake.committed([group]))[0][group] == {
        tp: (o, "") for tp, (o, _) in committed.items()
    }


async def test_that_a_shift_stays_inside_what_the_partition_holds() -> None:
    fake = client()
    partitions = [("email", 0)]
    ends, _ = await fake.offsets({("email", 0): LATEST})
    targets = await groups.reset_targets(
        fake, partitions, {("email", 0): 5}, ResetSpec(ResetTo.SHIFT, 10**12)
    )
    offset, note = targets["email", 0]
    assert offset == ends["email", 0]
    assert "are there" in note


async def test_that_a_group_with_members_is_not_reset() -> None:
    fake = client()
    group = next(g for g, found in (await fake.list_groups())[0].items() if found.state == "Stable")
    with pytest.raises(BadInput, match="stop its consumers first"):
        await groups.plan_reset(fake, group, [("email", 0)], ResetSpec(ResetTo.LATEST), AT)


def test_that_a_group_with_members_is_not_deleted() -> None:
    busy = Group("busy", "Stable", members=(Member("m", "c", "h"),))
    with pytest.raises(BadInput, match="has member"):
        groups.delete_groups(ClusterSnapshot(groups={"busy": busy}), ["busy"], AT)
