"""Groups and topics that cannot be (docs/reliability.md, rows 41 to 44)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kafka_protocol.messages.k10_find_coordinator import FindCoordinatorRequest
from kafka_protocol.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k15_describe_groups import DescribeGroupsRequest
from kafka_protocol.messages.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreateTopicsRequest,
)
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from kafka_protocol.primitives import CLIENT_ITEMS_MAX, STRING_MAX
from tests.integration.bad_input.live import Live
from tests.unit.embedded_broker.shell.fakes import Client

LOADING = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
}
RETRY_S = 0.05
DEADLINE_S = 10.0


def once_loaded(ask: Callable[[], int]) -> int:
    """Ask until the coordinator has loaded the group, as a client does; returns the code."""
    deadline = time.monotonic() + DEADLINE_S
    while (code := ask()) in LOADING:
        assert time.monotonic() < deadline, "the coordinator does not load the group"
        time.sleep(RETRY_S)
    return code


def find_coordinator(client: Client, group: str) -> None:
    """Wait for the coordinator: the first request for one creates the offsets topic."""
    request = FindCoordinatorRequest(group)
    assert once_loaded(lambda: client.ask(request, 2).error_code) == 0


def test_row_41_that_invalid_joins_and_heartbeats_are_refused(client: Client) -> None:
    find_coordinator(client, "g41")

    def join(group: str, session_timeout_ms: int = 10_000, member: str = "") -> int:
        protocols = [JoinGroupRequestProtocol("range", b"")]
        request = JoinGroupRequest(
            group, session_timeout_ms, 60_000, member, protocol_type="consumer", protocols=protocols
        )
        return once_loaded(lambda: client.ask(request, 5).error_code)

    assert join("") == ErrorCode.INVALID_GROUP_ID
    assert join("g41") == ErrorCode.MEMBER_ID_REQUIRED
    assert join("g41", session_timeout_ms=10) == ErrorCode.INVALID_SESSION_TIMEOUT
    assert join("g41", member="nobody") == ErrorCode.UNKNOWN_MEMBER_ID
    assert (
        client.ask(HeartbeatRequest("g41", 7, "nobody"), 3).error_code
        == ErrorCode.UNKNOWN_MEMBER_ID
    )


def test_row_42_that_long_commit_metadata_is_refused(client: Client) -> None:
    parts = [OffsetCommitRequestPartition(0, 1, committed_metadata="m" * 5000)]
    request = OffsetCommitRequest("g42", topics=[OffsetCommitRequestTopic("t", partitions=parts)])
    find_coordinator(client, "g42")
    code = once_loaded(lambda: client.ask(request, 7).topics[0].partitions[0].error_code)
    assert code == ErrorCode.OFFSET_METADATA_TOO_LARGE


def test_row_43_that_an_invalid_topic_is_refused(client: Client) -> None:
    wanted = {
        "": ErrorCode.INVALID_TOPIC_EXCEPTION,
        ".": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "..": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "a b": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "x" * 250: ErrorCode.INVALID_TOPIC_EXCEPTION,
    }
    topics = [CreatableTopic(name, 1, 1) for name in wanted]
    topics += [
        CreatableTopic("zero", 0, 1),
        CreatableTopic("many", 1, 3),
        CreatableTopic("t", 1, 1),
    ]
    topics += [CreatableTopic("huge", 1_000_000_000, 1)]
    answer = client.ask(CreateTopicsRequest(topics, timeout_ms=5000), 5)
    codes = {t.name: t.error_code for t in answer.topics}
    assert {name: codes[name] for name in wanted} == wanted
    assert codes["zero"] == ErrorCode.INVALID_PARTITIONS
    assert codes["many"] == ErrorCode.INVALID_REPLICATION_FACTOR
    assert codes["t"] == ErrorCode.TOPIC_ALREADY_EXISTS
    assert codes["huge"] == ErrorCode.POLICY_VIOLATION


def test_row_44_that_names_never_become_paths(live: Live, client: Client) -> None:
    root = live.cluster.broker_directory(1).parent
    before = {p for p in root.rglob("*") if p.is_dir()}
    names = ["../x", "..", "a/b", "/etc/passwd", "a\x00b", "c:\\x", "é" * 20]
    answer = client.ask(
        CreateTopicsRequest([CreatableTopic(n, 1, 1) for n in names], timeout_ms=5000), 5
    )
    assert all(t.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION for t in answer.topics)
    request = MetadataRequest(
        [MetadataRequestTopic(name=n) for n in names], allow_auto_topic_creation=True
    )
    assert all(
        t.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION for t in client.ask(request, 9).topics
    )
    client.ask(HeartbeatRequest("../../group", 1, "../member"), 3)
    assert {p for p in root.rglob("*") if p.is_dir()} == before
    assert not Path(root.parent, "x").exists()


def test_row_47_that_offsets_can_be_kept_for_ever(client: Client) -> None:
    """The retention of versions 2 to 4 counts from now: the sum must fit into the log's record."""
    parts = [OffsetCommitRequestPartition(0, 1)]
    find_coordinator(client, "g47")
    for retention_ms in (2**63 - 1, 2**62, 0, -1):
        request = OffsetCommitRequest(
            "g47",
            retention_time_ms=retention_ms,
            topics=[OffsetCommitRequestTopic("t", partitions=parts)],
        )
        for version in (2, 4):
            commit = partial(committed, client, request, version)
            assert once_loaded(commit) == ErrorCode.NONE, (retention_ms, version)


def committed(client: Client, request: OffsetCommitRequest, version: int) -> int:
    """Send a commit of one partition; return its error code."""
    code: int = client.ask(request, version).topics[0].partitions[0].error_code
    return code


def test_row_47_that_a_refusal_of_a_huge_request_has_a_short_text(client: Client) -> None:
    # As many as a request may list; naming them all takes more than the 65,535 bytes of a text.
    brokers = list(range(CLIENT_ITEMS_MAX - 2))
    assert len(str(brokers)) > 65_535
    topic = CreatableTopic("row-47", -1, -1, [CreatableReplicaAssignment(0, brokers)])
    answer = client.ask(CreateTopicsRequest([topic], timeout_ms=5000), 5)
    assert answer.topics[0].error_code == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert 0 < len(answer.topics[0].error_message) < 2_000


def test_row_47_that_a_refusal_shortens_a_name_of_32_kib(client: Client) -> None:
    """With the name whole, the text would not fit into its field."""
    name = "x" * STRING_MAX
    find_coordinator(client, name)
    groups = partial(client.ask, DescribeGroupsRequest([name]), 6)
    assert once_loaded(lambda: groups().groups[0].error_code) == ErrorCode.GROUP_ID_NOT_FOUND
    assert len(groups().groups[0].error_message) < 2_000
    for resource_type in (2, 4):  # a topic, a broker
        request = DescribeConfigsRequest([DescribeConfigsResource(resource_type, name)])
        result = client.ask(request, 4).results[0]
        assert result.error_code != ErrorCode.NONE
        assert len(result.error_message) < 2_000


def test_row_47_that_metadata_by_id_is_refused_where_a_topic_needs_a_name(client: Client) -> None:
    """Versions 10 and 11 have ids, but no null for the name of a topic that has none."""
    for version in (10, 11):
        for name in ("t", None):
            topic = MetadataRequestTopic(UUID(int=7), name)
            (found,) = client.ask(MetadataRequest([topic]), version).topics
            assert (found.error_code, found.name) == (ErrorCode.INVALID_REQUEST, name or "")
    topic = MetadataRequestTopic(UUID(int=7), None)
    assert client.ask(MetadataRequest([topic]), 12).topics[0].error_code == (
        ErrorCode.UNKNOWN_TOPIC_ID
    )
