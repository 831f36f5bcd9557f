"""Requests about groups while their coordinator is killed and frozen in a loop.

librdkafka's own requests end the process then (an assertion on a reference count), which is why
they go over the wire client: this test would not fail but be gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path

import pytest

from embedded_broker import ClusterSpec, LocalCluster, State
from kafka_client.confluent import ConfluentClient
from kafka_client.errors import ClientError
from kafka_client.model import NewTopic
from kafka_client.profile import quick
from kafka_client.wire.group_changes import CHANGE_TIMEOUT_S

TROUBLE_S = 15.0
GROUPS = [f"group-{i}" for i in range(6)]
LONGEST_S = CHANGE_TIMEOUT_S + 10.0
"""A change, plus one request that was sent just before its deadline."""


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_that_changes_of_groups_outlive_their_coordinator(tmp_path: Path) -> None:
    spec = ClusterSpec(tmp_path / "data", 3, 0, restart_after_s=0.5)
    cluster = LocalCluster(spec)
    await asyncio.to_thread(cluster.start)
    client = ConfluentClient(quick(cluster.bootstrap_servers))
    try:
        await client.connect()
        await client.create_topics([NewTopic("t", 3, 3)])
        outcomes: Counter[str] = Counter()
        trouble = asyncio.create_task(hurt(cluster))
        changes = [asyncio.create_task(change(client, g, trouble, outcomes)) for g in GROUPS]
        await asyncio.gather(trouble, *changes)
        print(dict(outcomes))
        assert outcomes["done"] >= len(GROUPS)
        for group in GROUPS:
            await client.alter_committed(group, {("t", 0): 1})
        # A coordinator that is not sure yet that it still is one refuses for a moment (0028).
        async with asyncio.timeout(LONGEST_S):
            committed, refused = await client.committed(GROUPS)
            while refused:
                await asyncio.sleep(0.2)
                committed, refused = await client.committed(GROUPS)
        assert all(committed[group]["t", 0][0] == 1 for group in GROUPS)
        await client.delete_groups(GROUPS)
    finally:
        await client.close()
        await asyncio.to_thread(cluster.stop)


async def hurt(cluster: LocalCluster) -> None:
    """Kill and freeze the brokers in turn; leave all of them serving."""
    until = time.monotonic() + TROUBLE_S
    turn = 0
    while time.monotonic() < until:
        broker = turn % 3 + 1
        if turn % 2:
            cluster.freeze(broker)
            await asyncio.sleep(1.0)
            cluster.thaw(broker)
        else:
            cluster.kill(broker)
        await asyncio.to_thread(cluster.wait_for, broker, State.SERVING)
        turn += 1


async def change(
    client: ConfluentClient, group: str, trouble: asyncio.Task[None], outcomes: Counter[str]
) -> None:
    """Set, read, describe and delete a group again and again; each call ends in time."""
    while not trouble.done():
        for call in (
            lambda: client.alter_committed(group, {("t", p): 5 for p in range(3)}),
            lambda: client.committed([group]),
            lambda: client.describe_groups([group]),
            lambda: client.list_groups(),
            lambda: client.delete_groups([group]),
        ):
            async with asyncio.timeout(LONGEST_S):
                with contextlib.suppress(ClientError):
                    await call()
                    outcomes["done"] += 1
                    continue
                outcomes["failed"] += 1
