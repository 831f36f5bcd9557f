"""The command line beside a plan does what the plan does: it is run with Kafka's own tools."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kafka_client.api import EARLIEST, LATEST
from kafka_client.commands import configs, groups, topics
from kafka_client.gateway import Gateway, open_client
from kafka_client.model import ConfigChange, ConfigResource, NewRecord, NewTopic
from kafka_client.profile import quick
from tests.real_kafka.fetch import why_unavailable

pytestmark = pytest.mark.real_kafka

TOP = Path(__file__).resolve().parents[3]
TOOLS = (
    "kafka-configs",
    "kafka-consumer-groups",
    "kafka-delete-records",
    "kafka-leader-election",
    "kafka-topics",
)

Shell = Callable[[str], str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs what was copied from a plan in a shell whose PATH has Kafka's tools; returns what they
    wrote."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    for tool in TOOLS:
        script = tmp_path / f"{tool}.sh"
        runner = TOP / "tests" / "real_kafka" / "tools.py"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{runner}" {tool} "$@"\n')
        script.chmod(0o755)

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@asynccontextmanager
async def connected(servers: str) -> AsyncIterator[Gateway]:
    client = open_client(quick(servers))
    await client.connect()
    try:
        yield client
    finally:
        await client.close()


async def filled_topic(client: Gateway, records: int = 10) -> str:
    topic = f"commands-{uuid.uuid4().hex[:8]}"
    await client.create_topics([NewTopic(topic, 2, 3)])
    await client.produce([NewRecord(topic, None, b"x", partition=p) for p in (0, 1)] * records)
    return topic


async def test_that_the_command_for_emptying_deletes_all_records(
    embedded_cluster: str, shell: Shell
) -> None:
    async with connected(embedded_cluster) as client:
        topic = await filled_topic(client)
        plan = topics.empty_topic(await client.metadata([topic]), topic, embedded_cluster)
        shell(plan.command)
        starts, _ = await client.offsets({(topic, p): EARLIEST for p in (0, 1)})
        ends, _ = await client.offsets({(topic, p): LATEST for p in (0, 1)})
        assert starts == ends and set(ends.values()) == {10}


async def test_that_the_commands_of_a_reset_and_of_its_undo_move_the_group_and_back(
    embedded_cluster: str, shell: Shell
) -> None:
    async with connected(embedded_cluster) as client:
        topic, group = await filled_topic(client), f"group-{uuid.uuid4().hex[:8]}"
        before = {(topic, 0): 3, (topic, 1): 7}
        await client.alter_committed(group, before)
        plan = await groups.plan_reset(
            client, group, list(before), groups.ResetSpec(groups.ResetTo.EARLIEST), embedded_cluster
        )

        async def committed() -> dict[tuple[str, int], int]:
            offsets = (await client.committed([group]))[0][group]
            return {tp: offset for tp, (offset, _) in offsets.items()}

        shell(plan.command)
        assert await committed() == dict.fromkeys(before, 0)
        assert plan.undo is not None
        shell(plan.undo().command)
        assert await committed() == before


async def test_that_the_command_of_an_election_names_existing_partitions_only(
    embedded_cluster: str, shell: Shell
) -> None:
    async with connected(embedded_cluster) as client:
        topic = await filled_topic(client)
        snapshot = await client.metadata([topic])
        found = snapshot.topics[topic]
        moved = tuple(replace(p, leader=p.replicas[1]) for p in found.partitions)
        snapshot = replace(snapshot, topics={topic: replace(found, partitions=moved)})
        plan = topics.elect_preferred(snapshot, [(topic, 0), (topic, 1)], embedded_cluster)
        written = shell(plan.command)
        assert f"{topic}-0" in written and f"{topic}-1" in written
        assert written.count(topic) == 2


async def test_that_the_command_of_a_setting_takes_a_value_with_commas(
    embedded_cluster: str, shell: Shell
) -> None:
    async with connected(embedded_cluster) as client:
        topic = await filled_topic(client, records=1)
        resource = ConfigResource("topic", topic)
        change = ConfigChange(resource, "cleanup.policy", "compact,delete")
        plan = configs.change_configs(await client.configs([resource]), [change], embedded_cluster)
        shell(plan.command)
        entries = {e.name: e.value for e in (await client.configs([resource]))[resource]}
        assert entries["cleanup.policy"] == "compact,delete"
        assert plan.undo is not None
        shell(plan.undo().command)
        entries = {e.name: e.value for e in (await client.configs([resource]))[resource]}
        assert entries["cleanup.policy"] == "delete"


async def test_that_the_command_of_a_new_topic_creates_it(
    embedded_cluster: str, shell: Shell
) -> None:
    async with connected(embedded_cluster) as client:
        name = f"commands-{uuid.uuid4().hex[:8]}"
        new = NewTopic(name, 2, 3, {"retention.ms": "3600000"})
        plan = topics.create_topic(await client.metadata(), new, embedded_cluster)
        shell(plan.command)
        assert len((await client.metadata([name])).topics[name].partitions) == 2
