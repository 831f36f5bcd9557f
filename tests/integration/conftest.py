"""Fixtures for tests with whole clusters: Apache Kafka to compare with, and external clients."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.embedded import EmbeddedCluster
from tests.integration.external_clients import install
from tests.real_kafka.fetch import why_unavailable
from tests.real_kafka.launcher import RealCluster
from tests.real_kafka.tools import kafka_tool as run_kafka_tool

RunNode = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def real_kafka() -> Iterator[RealCluster]:
    """Three brokers of Apache Kafka, shared by the session: a test makes topics and groups of its
    own."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with RealCluster(brokers=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def embedded_cluster() -> Iterator[str]:
    """The bootstrap servers of three embedded brokers, shared by the session: a test makes topics
    of its own."""
    with EmbeddedCluster(brokers=3) as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture(scope="session")
def kafka_tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Kafka's own command-line tools: kafka_tool("kafka-topics", "--bootstrap-server", servers,
    "--list")."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    return run_kafka_tool


@pytest.fixture(scope="session")
def kcat() -> Path:
    """The kcat program."""
    try:
        return install.kcat()
    except install.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def kafkajs_dir() -> Path:
    """The folder whose node_modules holds kafkajs."""
    try:
        return install.kafkajs()
    except install.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def run_node(kafkajs_dir: Path) -> RunNode:
    """run_node(source, *arguments): run JavaScript that may require("kafkajs"); arguments start
    at process.argv[1]."""

    def run(
        source: str, *arguments: str, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "NODE_PATH": str(kafkajs_dir / "node_modules"),
            "KAFKAJS_NO_PARTITIONER_WARNING": "1",
        }
        return subprocess.run(
            ["node", "-e", source, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run
