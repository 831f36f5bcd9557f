"""The undo command that the journal keeps becomes a plan again, from what the cluster says now."""

from __future__ import annotations

import pytest

from kafka_client.commands import configs, groups
from kafka_client.commands.from_command import can_plan, plan_from_command
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.errors import BadInput
from kafka_client.model import ConfigChange, ConfigResource
from tests.fakes.client import FakeClient

AT = "127.0.0.1:9092"
EMAIL = ConfigResource("topic", "email")


def reset_command(group: str, line: str) -> str:
    """As the undo of a reset writes it, with one line in its file."""
    return (
        f"cat > offsets.csv <<'END'\n{line}\nEND\n"
        f"kafka-consumer-groups.sh --bootstrap-server {AT} --group {group} --reset-offsets "
        "--from-file offsets.csv --execute"
    )


async def value_of(client: FakeClient, resource: ConfigResource, name: str) -> str | None:
    entries = (await client.configs([resource]))[resource]
    return next(entry.value for entry in entries if entry.name == name)


async def test_that_a_changed_setting_is_taken_back_from_its_undo_command() -> None:
    client = FakeClient(moving=False)
    first = [ConfigChange(EMAIL, "cleanup.policy", "compact,delete")]
    await configs.change_configs(await client.configs([EMAIL]), first, AT).apply(client)
    second = [
        ConfigChange(EMAIL, "cleanup.policy", "delete"),
        ConfigChange(EMAIL, "retention.ms", "1000"),
    ]
    plan = configs.change_configs(await client.configs([EMAIL]), second, AT)
    await plan.apply(client)
    assert await value_of(client, EMAIL, "cleanup.policy") == "delete"
    command = plan.text().undo
    assert "cleanup.policy=[compact,delete]" in command, "as Kafka's own tool takes it"
    assert can_plan(command)
    undo = await plan_from_command(client, command, AT)
    assert {row.old for row in undo.rows} == {"delete", "1000"}
    await undo.apply(client)
    assert await value_of(client, EMAIL, "cleanup.policy") == "compact,delete"
    assert await value_of(client, EMAIL, "retention.ms") != "1000"


async def test_that_a_reset_is_taken_back_partition_by_partition() -> None:
    client = FakeClient(moving=False)
    group = "sms-reader"
    offsets = {("sms", 0): 3, ("sms", 1): 7, ("sms", 2): 7}
    await client.alter_committed(group, offsets)
    plan = await groups.plan_reset(client, group, list(offsets), ResetSpec(ResetTo.EARLIEST), AT)
    await plan.apply(client)
    command = plan.text().undo
    assert command == (
        "cat > offsets.csv <<'END'\nsms,0,3\nsms,1,7\nsms,2,7\nEND\n"
        f"kafka-consumer-groups.sh --bootstrap-server {AT} --group {group} --reset-offsets "
        "--from-file offsets.csv --execute"
    )
    assert can_plan(command)
    undo = await plan_from_command(client, command, AT)
    await undo.apply(client)
    committed, _ = await client.committed([group])
    assert {tp: offset for tp, (offset, _) in committed[group].items()} == offsets


async def test_that_an_undo_that_is_done_already_says_so() -> None:
    client = FakeClient(moving=False)
    await client.alter_committed("quiet", {("sms", 0): 3})
    command = reset_command("quiet", "sms,0,3")
    with pytest.raises(BadInput, match="nothing to reset"):
        await plan_from_command(client, command, AT)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "rm -rf x",
        "kafka-topics.sh --delete --topic email",
        "kafka-configs.sh --describe --entity-type topics --entity-name email",
        "kafka-configs.sh --alter --entity-type users --entity-name a --add-config x=1",
        "kafka-configs.sh --alter --entity-type topics --entity-name email --add-config novalue",
        "kafka-configs.sh --alter --entity-type topics --add-config a=1",
        "kafka-consumer-groups.sh --reset-offsets --group g --topic t:0 --to-earliest",
        "kafka-consumer-groups.sh --reset-offsets --group g --from-file offsets.csv",
        reset_command("g", "t,0"),
        reset_command("g", "t,x,3"),
        reset_command("g", "t,0,-3"),
        reset_command("g", "../t,0,3"),
        reset_command("g", "t,0,3") + "\nrm -rf x",
        "kafka-configs.sh 'not closed",
        "kafka-configs.sh stray",
    ],
)
async def test_that_any_other_command_is_refused_with_a_next_step(command: str) -> None:
    assert not can_plan(command)
    with pytest.raises(BadInput, match="cannot make a plan") as refused:
        await plan_from_command(FakeClient(moving=False), command, AT)
    assert refused.value.next_step


async def test_that_a_secret_that_was_not_kept_cannot_be_set_again() -> None:
    command = (
        "kafka-configs.sh --alter --entity-type brokers --entity-name 1 "
        "--add-config ssl.keystore.password=…"
    )
    assert not can_plan(command)
    with pytest.raises(BadInput, match="secret"):
        await plan_from_command(FakeClient(moving=False), command, AT)
