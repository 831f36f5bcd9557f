"""The APIs of the data plane, as a client calls them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from embedded_broker.core.api import k00_produce
from embedded_broker.core.metadata.image import MetadataDelta, TopicImage
from embedded_broker.core.replication import producer_loads
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from kafka_protocol.messages.k19_create_topics import CreatableTopicResult, CreateTopicsResponse
from kafka_protocol.messages.k21_delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from kafka_protocol.messages.k22_init_producer_id import InitProducerIdRequest
from kafka_protocol.messages.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from kafka_protocol.messages.k35_describe_log_dirs import DescribeLogDirsRequest
from kafka_protocol.messages.k60_describe_cluster import DescribeClusterRequest
from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsResponse
from tests.unit.embedded_broker.fakes import WALL_MS
from tests.unit.embedded_broker.replication.bench import (
    TOPIC_ID,
    Bench,
    Node,
    T,
    batch,
    values,
)


@pytest.fixture
def bench() -> Bench:
    found = Bench()
    found.create()
    return found


def fill(bench: Bench, *texts: str) -> None:
    for number, text in enumerate(texts):
        bench.nodes[1].produce(batch(text, timestamp=WALL_MS + 10 * number))
        bench.settle()


def answer(node: Node, message: Any, version: int) -> Any:
    return node.answers[node.ask(message, version)]


# ---- Produce
def test_that_a_repeated_batch_is_answered_with_its_first_offset(bench: Bench) -> None:
    fill(bench, "a")
    for _ in range(2):
        request = bench.nodes[1].produce(batch("b", producer=(7, 0, 0)))
        bench.settle()
        assert (
            bench.nodes[1].produced(request).error_code,
            bench.nodes[1].produced(request).base_offset,
        ) == (0, 1)
    assert bench.nodes[1].partition().end_offset == 2


def test_that_producers_are_known_to_the_next_leader(bench: Bench) -> None:
    bench.nodes[1].produce(batch("a", producer=(7, 0, 0)))
    bench.settle()
    bench.kill(1)
    bench.change(leader=2, isr=(2, 3))
    bench.run(1_000)
    request = bench.nodes[2].produce(batch("a", producer=(7, 0, 0)))
    bench.settle()
    assert bench.nodes[2].produced(request).base_offset == 0
    gap = bench.nodes[2].produce(batch("c", producer=(7, 0, 5)))
    assert bench.nodes[2].produced(gap).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_that_other_acks_are_refused_row_19(bench: Bench) -> None:
    request = bench.nodes[1].produce(batch("a"), acks=2)
    assert bench.nodes[1].produced(request).error_code == ErrorCode.INVALID_REQUIRED_ACKS


def test_that_a_failed_acks_0_closes_the_connection_row_20(bench: Bench) -> None:
    assert type(bench.nodes[1].answers[bench.nodes[1].produce(b"", acks=0)]).__name__ == "Drop"


def test_that_a_follower_names_the_leader_row_21(bench: Bench) -> None:
    request = bench.nodes[2].produce(batch("a"), version=10)
    produced = bench.nodes[2].produced(request)
    assert produced.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (produced.current_leader.leader_id, produced.current_leader.leader_epoch) == (1, 0)
    assert bench.nodes[2].answers[request].node_endpoints[0].port == 19091
    request = bench.nodes[1].produce(batch("a"), index=9)
    assert bench.nodes[1].produced(request).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_that_log_append_time_is_the_brokers() -> None:
    bench = Bench()
    bench.create(message_timestamp_type="LogAppendTime")
    request = bench.nodes[1].produce(batch("a", timestamp=5))
    bench.settle()
    assert bench.nodes[1].produced(request).log_append_time_ms == WALL_MS + bench.now_ms


# ---- Fetch
def test_that_offsets_outside_the_log_are_refused_row_36(bench: Bench) -> None:
    fill(bench, "a", "b")
    bench.nodes[1].partition().delete_before(1)
    for offset in (0, 3):
        request = bench.nodes[1].fetch(offset, max_wait_ms=1_000)
        bench.settle()
        assert bench.nodes[1].fetched(request).error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_that_leader_epochs_fence_readers_row_37(bench: Bench) -> None:
    fill(bench, "a")
    bench.change(leader=1)
    bench.settle()
    codes = {}
    for epoch in (0, 1, 2):
        request = bench.nodes[1].fetch(0, epoch=epoch)
        bench.settle()
        codes[epoch] = bench.nodes[1].fetched(request).error_code
    assert codes == {0: ErrorCode.FENCED_LEADER_EPOCH, 1: 0, 2: ErrorCode.UNKNOWN_LEADER_EPOCH}


def test_that_clients_have_no_sessions_row_38(bench: Bench) -> None:
    request = FetchRequest(session_id=5, session_epoch=3)
    assert answer(bench.nodes[1], request, 12).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    requested = bench.nodes[1].fetch(0, session_epoch=0)
    bench.settle()
    assert bench.nodes[1].answers[requested].session_id == 0


def test_that_the_first_batch_is_whole_whatever_the_limits_row_40(bench: Bench) -> None:
    fill(bench, "a" * 500, "b")
    requested = [FetchPartition(0, -1, 0, -1, -1, 10)]
    request = bench.nodes[1].ask(
        FetchRequest(max_bytes=10, topics=[FetchTopic(T, TOPIC_ID, requested)]), 12
    )
    bench.settle()
    assert values(bench.nodes[1].fetched(request).records) == ["a" * 500]


def test_that_a_reader_waits_for_min_bytes(bench: Bench) -> None:
    fill(bench, "a")
    requested = [FetchPartition(0, -1, 0, -1, -1, 1 << 20)]
    wanted = FetchRequest(
        max_wait_ms=10_000, min_bytes=100, topics=[FetchTopic(T, TOPIC_ID, requested)]
    )
    request = bench.nodes[1].ask(wanted, 13)
    bench.settle()
    assert request not in bench.nodes[1].answers
    fill(bench, "b" * 50)
    assert values(bench.nodes[1].fetched(request).records) == ["a", "b" * 50]


def test_that_an_unknown_topic_id_gets_its_error(bench: Bench) -> None:
    requested = [FetchPartition(0, -1, 0, -1, -1, 1 << 20)]
    request = bench.nodes[1].ask(FetchRequest(topics=[FetchTopic("", UUID(int=5), requested)]), 13)
    bench.settle()
    assert bench.nodes[1].fetched(request).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_that_a_diverging_reader_gets_the_epoch_and_offset_of_the_divergence(bench: Bench) -> None:
    fill(bench, "a", "b")
    bench.change(leader=1)
    fill(bench, "c")
    request = bench.nodes[1].fetch(3, last_epoch=0)
    bench.settle()
    diverging = bench.nodes[1].fetched(request).diverging_epoch
    assert (diverging.epoch, diverging.end_offset) == (0, 2)


def test_that_a_closed_connections_fetch_is_forgotten(bench: Bench) -> None:
    from embedded_broker.core.events import ConnectionClosed

    request = bench.nodes[1].fetch(0, max_wait_ms=1_000)
    bench.settle()
    bench.nodes[1].handle(ConnectionClosed(1))
    fill(bench, "a")
    bench.run(2_000)
    assert request not in bench.nodes[1].answers
    assert not bench.nodes[1].partition().waiting_fetches


# ---- ListOffsets
def list_offsets(
    bench: Bench, timestamp: int, version: int = 7, node: int = 1
) -> ListOffsetsPartitionResponse:
    topics = [ListOffsetsTopic(T, [ListOffsetsPartition(0, -1, timestamp)])]
    found: ListOffsetsPartitionResponse = (
        answer(bench.nodes[node], ListOffsetsRequest(topics=topics), version)
        .topics[0]
        .partitions[0]
    )
    return found


def test_that_offsets_are_found_by_place_and_time(bench: Bench) -> None:
    fill(bench, "a", "b", "c")
    found = {t: list_offsets(bench, t) for t in (-1, -2, -3, -4, WALL_MS + 5, WALL_MS + 100)}
    assert [r.offset for r in found.values()] == [3, 0, 2, 0, 1, -1]
    assert found[-3].timestamp == WALL_MS + 20
    assert found[WALL_MS + 5].timestamp == WALL_MS + 10
    assert {r.error_code for r in found.values()} == {0}
    assert list_offsets(bench, -1, node=2).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert list_offsets(bench, -5, version=9).offset == -1


# ---- Metadata
def metadata(bench: Bench, request: MetadataRequest, version: int) -> MetadataResponse:
    found: MetadataResponse = answer(bench.nodes[1], request, version)
    return found


@pytest.mark.parametrize("version", range(14))
def test_that_all_topics_are_listed_in_every_version(bench: Bench, version: int) -> None:
    found = metadata(bench, MetadataRequest(topics=[] if version == 0 else None), version)
    assert [b.port for b in found.brokers] == [19091, 19092, 19093]
    assert [t.name for t in found.topics] == [T]
    partition = found.topics[0].partitions[0]
    assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (
        1,
        [1, 2, 3],
        [1, 2, 3],
    )
    assert found.controller_id == 1


def test_that_topics_are_found_by_id(bench: Bench) -> None:
    requested = [MetadataRequestTopic(TOPIC_ID, None), MetadataRequestTopic(UUID(int=9), None)]
    found = metadata(bench, MetadataRequest(topics=requested), 12)
    assert [(t.error_code, t.name) for t in found.topics] == [
        (0, T),
        (ErrorCode.UNKNOWN_TOPIC_ID, None),
    ]


def test_that_a_partition_without_a_leader_is_not_an_unknown_one(bench: Bench) -> None:
    bench.change(leader=-1)
    partition = metadata(bench, MetadataRequest(topics=None), 9).topics[0].partitions[0]
    assert (partition.error_code, partition.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)


def test_that_fenced_brokers_are_not_listed(bench: Bench) -> None:
    bench.image.brokers[3] = replace(bench.image.brokers[3], fenced=True)
    bench.publish(MetadataDelta(brokers={3}))
    found = metadata(bench, MetadataRequest(topics=None), 9)
    assert [b.node_id for b in found.brokers] == [1, 2]
    assert found.topics[0].partitions[0].offline_replicas == [3]


def test_that_a_missing_topic_is_created_when_allowed(bench: Bench) -> None:
    bench.auto_isr = False
    node = bench.nodes[1]
    request = node.ask(MetadataRequest(topics=[MetadataRequestTopic(name="new")]), 9)
    assert request not in node.answers
    call = bench.controller_calls.pop()
    message = call.message
    assert (message.topics[0].name, message.topics[0].num_partitions) == ("new", -1)
    call.answer(bench.now_ms, CreateTopicsResponse(topics=[CreatableTopicResult("new")]))
    node.perform()
    assert node.answers[request].topics[0].error_code == ErrorCode.LEADER_NOT_AVAILABLE
    for text, allowed in (("new", False), ("a/b", True)):
        requested = MetadataRequest(
            topics=[MetadataRequestTopic(name=text)], allow_auto_topic_creation=allowed
        )
        code = metadata(bench, requested, 9).topics[0].error_code
        expected = (
            ErrorCode.INVALID_TOPIC_EXCEPTION if allowed else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
        assert code == expected


# ---- others
def test_that_versions_are_advertised_and_client_names_checked_row_8(bench: Bench) -> None:
    node = bench.nodes[1]
    found: ApiVersionsResponse = answer(node, ApiVersionsRequest("librdkafka", "2.16.1"), 3)
    ranges = {a.api_key: (a.min_version, a.max_version) for a in found.api_keys}
    assert ranges[0] == (0, 13) and ranges[1] == (4, 18) and 56 not in ranges and 62 not in ranges
    assert answer(node, ApiVersionsRequest("{{x}}", "1"), 3).error_code == ErrorCode.INVALID_REQUEST


def test_that_only_brokers_call_what_is_between_brokers_row_45(bench: Bench) -> None:
    from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsRequest

    found = answer(bench.nodes[1], AllocateProducerIdsRequest(), 0)
    assert found.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED


def test_that_producer_ids_come_from_blocks(bench: Bench) -> None:
    bench.auto_isr = False
    node = bench.nodes[1]
    first, second = (node.ask(InitProducerIdRequest(None, 0), 4) for _ in range(2))
    (call,) = bench.controller_calls
    call.answer(
        bench.now_ms, AllocateProducerIdsResponse(producer_id_start=5000, producer_id_len=1000)
    )
    node.perform()
    assert [node.answers[r].producer_id for r in (first, second)] == [5000, 5001]
    assert answer(node, InitProducerIdRequest(None, 0), 4).producer_id == 5002
    assert answer(node, InitProducerIdRequest("tx", 0), 4).error_code == ErrorCode.INVALID_REQUEST


def test_that_deleted_records_are_gone_on_every_replica(bench: Bench) -> None:
    fill(bench, "a", "b", "c")
    bench.run(1_200)
    node = bench.nodes[1]

    def delete(offset: int) -> int:
        partitions = [DeleteRecordsPartition(0, offset)]
        return node.ask(DeleteRecordsRequest([DeleteRecordsTopic(T, partitions)], 5_000), 2)

    request = delete(2)
    bench.run(1_500)
    result = node.answers[request].topics[0].partitions[0]
    assert (result.error_code, result.low_watermark) == (0, 2)
    assert [n.partition().start_offset for n in bench.alive()] == [2, 2, 2]
    refused = delete(4)
    assert node.answers[refused].topics[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    every = delete(-1)
    bench.run(1_500)
    assert node.answers[every].topics[0].partitions[0].low_watermark == 3


def test_that_the_end_of_an_epoch_is_returned(bench: Bench) -> None:
    fill(bench, "a", "b")
    bench.change(leader=1)
    fill(bench, "c")
    for epoch, end in ((0, 2), (1, 3), (2, -1)):
        topics = [OffsetForLeaderTopic(T, [OffsetForLeaderPartition(0, -1, epoch)])]
        found = (
            answer(bench.nodes[1], OffsetForLeaderEpochRequest(topics=topics), 3)
            .topics[0]
            .partitions[0]
        )
        assert (found.leader_epoch, found.end_offset) == (epoch if end >= 0 else -1, end)


def test_that_sizes_of_logs_and_the_cluster_are_described(bench: Bench) -> None:
    fill(bench, "a")
    found = answer(bench.nodes[2], DescribeLogDirsRequest(None), 4).results[0]
    assert found.topics[0].partitions[0].partition_size == bench.nodes[2].partition().log.size_bytes
    assert found.total_bytes > 0
    cluster = answer(bench.nodes[2], DescribeClusterRequest(), 1)
    assert [b.broker_id for b in cluster.brokers] == [1, 2, 3] and cluster.cluster_id == "bench"


# ---- housekeeping
def test_that_old_and_superfluous_segments_are_deleted_whole() -> None:
    bench = Bench()
    bench.create(retention_ms="1000", segment_bytes="1048576")
    node = bench.nodes[1]
    partition = node.partition()
    for text in "abc":
        fill(bench, text)
        partition.log.roll()
    bench.run(600)
    bench.now_ms += 5_000
    node.produce(batch("d", timestamp=WALL_MS + bench.now_ms))
    bench.settle()
    node.replicas.housekeeping.retain(bench.now_ms)
    assert (partition.start_offset, partition.end_offset) == (3, 4)


def test_that_retention_by_size_keeps_the_newest() -> None:
    bench = Bench()
    bench.create(retention_bytes="150")
    partition = bench.nodes[1].partition()
    for text in "abcd":
        fill(bench, text)
        partition.log.roll()
    bench.nodes[1].replicas.housekeeping.retain(bench.now_ms)
    assert partition.start_offset == 1, "with one segment fewer it would be under the limit"


def test_that_high_watermarks_outlive_the_process(bench: Bench) -> None:
    fill(bench, "a", "b")
    bench.run(6_000)
    bench.kill(2)
    assert bench.nodes[2].platter.high_watermarks[T, 0] == 2
    bench.cut = {(2, 1)}
    bench.boot(2)
    assert bench.nodes[2].partition().high_watermark == 2


def test_that_settings_changed_at_run_time_take_effect_at_once(bench: Bench) -> None:
    from embedded_broker.core.metadata.image import TOPIC

    bench.image.configs[TOPIC, T] = {"max.message.bytes": "50"}
    bench.publish(MetadataDelta(configs={(TOPIC, T)}))
    request = bench.nodes[1].produce(batch("a"))
    assert bench.nodes[1].produced(request).error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_that_a_long_log_is_read_for_its_producers_in_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(k00_produce, "LOAD_AT_ONCE", 2)
    monkeypatch.setattr(producer_loads, "HEADERS_AT_ONCE", 3)
    bench = Bench()
    bench.create()
    for sequence in range(10):
        bench.nodes[1].produce(batch("a", producer=(7, 0, sequence)))
        bench.settle()
    node = bench.boot(1)
    bench.change(leader=1, leader_epoch=5)
    bench.settle()
    repeated = batch("a", producer=(7, 0, 8))
    following = batch("b", producer=(7, 0, 10))
    for records in (repeated, following):
        refused = node.produce(records)
        assert node.produced(refused).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.run(3)
    first, second = node.produce(repeated), node.produce(following)
    bench.settle()
    assert node.produced(first).base_offset == 8
    assert node.produced(second).base_offset == 10


def test_that_a_client_meets_the_role_that_the_metadata_names() -> None:
    """Also while other partitions that changed come first."""
    bench = Bench()
    bench.create(partitions=8)
    bench.run(10)
    image = bench.image.topics[T]
    for index, old in image.partitions.items():
        new = old._replace(leader=2, leader_epoch=1, partition_epoch=1)
        image = TopicImage(TOPIC_ID, T, {**image.partitions, index: new})
    bench.image.topics[T] = image
    bench.publish(MetadataDelta(partitions={(T, index) for index in image.partitions}))
    node = bench.nodes[2]
    assert not node.partition(7).is_leader
    request = node.produce(batch("a", producer=(7, 0, 0)), acks=1, index=7)
    bench.settle()
    assert node.produced(request).error_code == ErrorCode.NONE
    assert node.partition(7).is_leader and not node.partition(6).is_leader
    old_leader = bench.nodes[1]
    refused = old_leader.produce(batch("b", producer=(7, 0, 1)), index=6)
    assert old_leader.produced(refused).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
