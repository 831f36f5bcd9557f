"""Fetch requests that must not be served (docs/reliability.md, rows 36 to 40)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ReplicaState,
)
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from tests.integration.bad_input.live import batch, produced
from tests.unit.embedded_broker.shell.fakes import Client


def fetched(client: Client, **fields: Any) -> Any:
    request = FetchRequest(
        max_wait_ms=0, min_bytes=0, topics=[FetchTopic("t", partitions=[FetchPartition(**fields)])]
    )
    return client.ask(request, 11).responses[0].partitions[0]


def test_row_36_that_an_offset_outside_the_log_is_out_of_range(client: Client) -> None:
    for offset in (-5, 1 << 60):
        answer = fetched(client, partition=0, fetch_offset=offset, partition_max_bytes=1000)
        assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_row_37_that_an_unknown_leader_epoch_is_refused(client: Client) -> None:
    newer = fetched(
        client, partition=0, fetch_offset=0, current_leader_epoch=99, partition_max_bytes=1000
    )
    assert newer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


@pytest.mark.parametrize(("session", "epoch"), [(12345, 3), (12345, 1), (-7, 1), (1, 1), (1, 2)])
@pytest.mark.parametrize("version", [7, 11, 13])
def test_row_38_that_an_unknown_fetch_session_is_refused(
    client: Client, version: int, session: int, epoch: int
) -> None:
    asked = FetchRequest(max_wait_ms=0, session_id=session, session_epoch=epoch)
    answer = client.ask(asked, version)
    assert (answer.error_code, answer.responses) == (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, [])


@pytest.mark.parametrize("version", [4, 7, 11, 12])
def test_row_38_that_a_client_gets_no_session(client: Client, version: int) -> None:
    """It may ask for one (0, 0), close one (any, -1) or want none (0, -1)."""
    topics = [FetchTopic("t", partitions=[FetchPartition(0, partition_max_bytes=1000)])]
    for session, epoch in ((0, 0), (0, -1), (77, -1)):
        asked = FetchRequest(max_wait_ms=0, session_id=session, session_epoch=epoch, topics=topics)
        answer = client.ask(asked, version)
        assert (answer.error_code, answer.session_id) == (0, 0)
        assert answer.responses[0].partitions[0].error_code == 0


@pytest.mark.parametrize("replica", [0, 1, 2, 9, 2**31 - 1])
@pytest.mark.parametrize("version", [4, 7, 11, 12, 13, 14, 15, 16, 17])
def test_row_39_that_a_client_cannot_fetch_as_a_replica(
    client: Client, version: int, replica: int
) -> None:
    """Of this broker, of another, of none; by either field of the request."""
    (known,) = client.ask(MetadataRequest([MetadataRequestTopic(name="t")]), 12).topics
    asked = FetchPartition(0, fetch_offset=0, partition_max_bytes=1000)
    request = FetchRequest(
        replica_id=replica if version < 15 else -1,
        replica_state=ReplicaState(replica, 5) if version >= 15 else ReplicaState(),
        max_wait_ms=0,
        topics=[FetchTopic("t", known.topic_id, [asked])],
    )
    response = client.ask(request, version)
    partitions = [p for t in response.responses for p in t.partitions]
    assert [p.error_code for p in partitions] == [ErrorCode.TOPIC_AUTHORIZATION_FAILED]
    assert not any(p.records for p in partitions) and response.session_id == 0


def test_row_40_that_the_first_batch_is_returned_whole_whatever_the_limit(client: Client) -> None:
    assert produced(client, batch(5, b"w" * 3000)) == 0
    for most in (0, 1, 2**31 - 1):
        answer = fetched(client, partition=0, fetch_offset=0, partition_max_bytes=most)
        assert answer.error_code == 0 and len(answer.records) > 61


def test_that_an_unknown_topic_id_is_refused(client: Client) -> None:
    topics = [FetchTopic(topic_id=UUID(int=99), partitions=[FetchPartition(0, fetch_offset=0)])]
    answer = client.ask(FetchRequest(max_wait_ms=0, topics=topics), 13)
    codes = {p.error_code for t in answer.responses for p in t.partitions} | {answer.error_code}
    assert ErrorCode.UNKNOWN_TOPIC_ID in codes
