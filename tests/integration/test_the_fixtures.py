"""The fixtures themselves: Apache Kafka answers its own tools and the external clients."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_kafka.launcher import RealCluster

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(180)]

ROUND_TRIP = """
const { Kafka, logLevel } = require("kafkajs");
const [servers, topic] = process.argv.slice(1);
(async () => {
  const kafka = new Kafka({ brokers: servers.split(","), logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const messages = [{ key: "k", value: "from node" }];
  const [written] = await producer.send({ topic, acks: -1, messages });
  await producer.disconnect();
  console.log(`${written.errorCode} ${written.baseOffset}`);
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_that_a_real_cluster_creates_a_topic_and_describes_it(
    real_kafka: RealCluster, kafka_tool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    server = ["--bootstrap-server", real_kafka.bootstrap_servers]
    made = kafka_tool(
        "kafka-topics", *server, "--create", "--topic", "described", "--partitions", "3"
    )
    assert "Created topic described" in made.stdout
    described = kafka_tool("kafka-topics", *server, "--describe", "--topic", "described").stdout
    assert described.count("Leader:") == 3


def test_that_external_clients_reach_a_real_cluster(
    real_kafka: RealCluster,
    kcat: Path,
    run_node: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    servers = real_kafka.bootstrap_servers
    first = subprocess.run(
        [kcat, "-P", "-b", servers, "-t", "external-clients", "-p", "0"],
        input="from kcat\n",
        text=True,
        check=True,
        timeout=60,
    )
    assert first.returncode == 0
    second = run_node(ROUND_TRIP, servers, "external-clients")
    assert second.stdout.strip() == "0 1", second.stderr
    read = subprocess.run(
        [kcat, "-C", "-b", servers, "-t", "external-clients", "-c", "2", "-e", "-q"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert read.stdout.splitlines() == ["from kcat", "from node"]
