"""What a client sees of a broker whose disk fails, and of its recovery."""

from __future__ import annotations

import resource
import uuid
from pathlib import Path

from kafka_client.gateway import Gateway, open_client
from kafka_client.model import NewRecord, NewTopic
from kafka_client.profile import quick
from tests.integration.embedded import EmbeddedCluster
from tests.unit.kafka_client.contract import eventually

VICTIM = 2


async def test_that_a_broker_whose_writes_fail_is_fenced_with_its_directory_and_comes_back(
    tmp_path: Path,
) -> None:
    topic = f"disk-{uuid.uuid4().hex[:8]}"
    with EmbeddedCluster(brokers=3, data_dir=tmp_path / "data") as cluster:
        client = open_client(quick(cluster.bootstrap_servers))
        try:
            await client.connect()
            await client.create_topics([NewTopic(topic, 3, 3)])
            await see_it_fail(client, topic, cluster.pid(VICTIM), tmp_path)
        finally:
            await client.close()


async def see_it_fail(client: Gateway, topic: str, pid: int, folder: Path) -> None:
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    # Every write that makes a file longer fails, as on a full disk. The victim may be the
    # controller, and then another one comes first.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    records = [NewRecord(topic, None, b"v", partition=p) for p in range(3)]
    await eventually(lambda: client.produce(records), bool, 30.0)
    snapshot = await eventually(client.metadata, lambda s: s.brokers[VICTIM].fenced)
    assert not snapshot.brokers[VICTIM].in_cluster
    for partition in snapshot.topics[topic].partitions:
        assert partition.offline == (VICTIM,) and partition.leader not in (None, VICTIM)
    found, errors = await client.log_dirs(snapshot.brokers)
    assert not errors
    (failed,) = found[VICTIM].failed
    assert failed.path.startswith(str(folder)) and "trouble with its disk" in failed.why
    assert not found[1].failed and not found[3].failed
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    await eventually(client.metadata, lambda s: s.brokers[VICTIM].in_cluster, 30.0)
    found, errors = await client.log_dirs([VICTIM])
    assert not found[VICTIM].failed and not errors
