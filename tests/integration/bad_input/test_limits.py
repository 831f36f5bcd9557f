"""A broker process with small limits (docs/reliability.md, rows 13, 14, 27, 30, 31 and 37)."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from embedded_broker import ClusterSpec, LocalCluster, State, TopicSpec
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import ProduceResponse
from kafka_protocol.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from kafka_protocol.messages.k03_metadata import MetadataRequest
from kafka_protocol.messages.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from kafka_protocol.records.build import NewRecord, build
from tests.integration.bad_input.live import batch, produce, produced
from tests.unit.embedded_broker.shell.fakes import Client

IDLE_MS = 1500
PER_ADDRESS = 6
SETTINGS = {
    "connections.max.idle.ms": str(IDLE_MS),
    "max.connections.per.ip": str(PER_ADDRESS),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("limits")
    spec = ClusterSpec(folder / "c", brokers=1, port=0, settings=SETTINGS)
    with LocalCluster(spec) as found:
        found.create_topics([TopicSpec("t", 1, 1)])
        client = connect(found)
        for name, setting, value in (
            ("small", "segment.bytes", "1048576"),
            ("compacted", "cleanup.policy", "compact"),
            ("punctual", "message.timestamp.after.max.ms", "60000"),
        ):
            configs = [CreatableTopicConfig(setting, value)]
            topic = CreatableTopic(name, 1, 1, configs=configs)
            response = client.ask(CreateTopicsRequest([topic], timeout_ms=10_000), 5)
            assert [t.error_code for t in response.topics] == [0]
        client.close()
        yield found
        assert "Traceback" not in "\n".join(found.log_tail(1, 10_000))


def connect(cluster: LocalCluster) -> Client:
    status = cluster.status(1)
    return Client(socket.create_connection((status.host, status.port), timeout=10))


def closed_within(client: Client, seconds: float) -> bool:
    """Return whether the broker closes the connection, on which no response is due, by then."""
    readable, _, _ = select.select([client.sock], [], [], seconds)
    return bool(readable) and client.is_closed()


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    found = connect(cluster)
    yield found
    found.close()


def test_row_27_that_a_batch_above_the_segment_is_too_large(client: Client) -> None:
    """Below ``message.max.bytes``, which alone would be MESSAGE_TOO_LARGE."""
    assert produced(client, batch(1, b"x" * 1_048_510), topic="small") == (
        ErrorCode.RECORD_LIST_TOO_LARGE
    )
    assert produced(client, batch(), topic="small") == 0


def test_row_30_that_a_compacted_topic_names_the_records_without_a_key(client: Client) -> None:
    keyless = build([NewRecord(key, b"v", 1) for key in (b"k", None, b"k", None)])
    response: ProduceResponse = client.ask(produce(keyless, topic="compacted"), 9)
    answer = response.responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert [error.batch_index for error in answer.record_errors] == [1, 3]


def test_row_31_that_a_timestamp_far_in_the_time_to_come_is_refused(client: Client) -> None:
    now_ms = int(time.time() * 1000)
    ahead = build([NewRecord(b"k", b"v", now_ms), NewRecord(b"k", b"v", now_ms + 3_600_000)])
    assert produced(client, ahead, topic="punctual") == ErrorCode.INVALID_TIMESTAMP
    punctual = build([NewRecord(b"k", b"v", now_ms), NewRecord(b"k", b"v", now_ms + 1000)])
    assert produced(client, punctual, topic="punctual") == 0


def test_row_13_that_connections_above_the_limit_of_an_address_are_closed(
    cluster: LocalCluster,
) -> None:
    clients = [connect(cluster) for _ in range(PER_ADDRESS)]
    for one in clients:
        one.ask(MetadataRequest(), 9)
    extra = connect(cluster)
    assert extra.is_closed()
    clients.pop().close()
    deadline = time.monotonic() + 10
    again = connect(cluster)
    while closed_within(again, 0.2):  # the broker has not read the end of the other yet
        assert time.monotonic() < deadline
        again.close()
        again = connect(cluster)
    again.ask(MetadataRequest(), 9)
    for one in (*clients, extra, again):
        one.close()


def test_row_14_that_an_idle_connection_is_closed_and_a_busy_one_is_not(
    cluster: LocalCluster,
) -> None:
    idle, busy = connect(cluster), connect(cluster)
    idle.ask(MetadataRequest(), 9)
    began = time.monotonic()
    while not closed_within(idle, 0.2):
        busy.ask(MetadataRequest(), 9)
        assert time.monotonic() - began < 10 * IDLE_MS / 1000
    assert time.monotonic() - began >= 0.9 * IDLE_MS / 1000
    busy.ask(MetadataRequest(), 9)
    busy.close()
    idle.close()


def test_row_37_that_an_older_leader_epoch_is_fenced(cluster: LocalCluster) -> None:
    """A restart makes a new leader epoch."""
    cluster.stop_broker(1)
    assert cluster.wait_for(1, State.STOPPED)
    cluster.start_broker(1)
    cluster.wait_ready(60)
    client = connect(cluster)

    def fetched(epoch: int) -> int:
        partition = FetchPartition(
            0, current_leader_epoch=epoch, fetch_offset=0, partition_max_bytes=1000
        )
        topics = [FetchTopic("t", partitions=[partition])]
        request = FetchRequest(max_wait_ms=0, min_bytes=0, topics=topics)
        code: int = client.ask(request, 11).responses[0].partitions[0].error_code
        return code

    metadata = client.ask(MetadataRequest(topics=None), 9)
    (epoch,) = [t.partitions[0].leader_epoch for t in metadata.topics if t.name == "t"]
    assert epoch > 0
    assert fetched(epoch) == 0
    assert fetched(epoch - 1) == ErrorCode.FENCED_LEADER_EPOCH
    assert fetched(epoch + 1) == ErrorCode.UNKNOWN_LEADER_EPOCH
    client.close()
