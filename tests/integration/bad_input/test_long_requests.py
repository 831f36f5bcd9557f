"""Requests with much to do, while another client is served."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from embedded_broker.core.metadata.image import TOPIC
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from kafka_protocol.records.batch import Codec
from kafka_protocol.records.build import NewRecord, build
from tests.integration.bad_input.live import TIMESTAMP_MS, Live, produce
from tests.unit.embedded_broker.shell.fakes import Client

NAMES = 9_000


def took_s(live: Live, ask: Callable[[Client], object]) -> tuple[float, float]:
    """(how long four clients wait that ask at once, the longest that the healthy one waited)."""
    clients = [live.connect() for _ in range(4)]
    live.slowest_s, slowest_s = 0.0, live.slowest_s
    began = time.monotonic()
    for client in clients:
        ask(client)
    for client in clients:
        assert client.frame()
    whole_s, waited_s = time.monotonic() - began, live.slowest_s
    live.slowest_s = max(slowest_s, waited_s)
    for client in clients:
        client.close()
    return whole_s, waited_s


def test_that_a_time_in_a_batch_of_many_records_is_looked_up_in_slices(live: Live) -> None:
    client = live.connect()
    many = [NewRecord(None, None, TIMESTAMP_MS + i // 1000) for i in range(150_000)]
    data = build(many, compression=Codec.ZSTD)
    (stored,) = client.ask(produce(data, partition=1), 9).responses[0].partition_responses
    assert stored.error_code == ErrorCode.NONE
    last_ms = many[-1].timestamp
    asked = ListOffsetsPartition(1, -1, last_ms)
    request = ListOffsetsRequest(-1, 0, [ListOffsetsTopic("t", [asked])])
    (topic,) = client.ask(request, 7).topics
    (found,) = topic.partitions
    assert (found.timestamp, found.error_code) == (last_ms, ErrorCode.NONE)
    assert found.offset - stored.base_offset == 149_000
    whole_s, waited_s = took_s(live, lambda one: one.send(request, 7))
    assert waited_s < whole_s / 6, (whole_s, waited_s)
    client.close()


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (MetadataRequest([MetadataRequestTopic(name=f"no-{i}") for i in range(NAMES)], False), 9),
        (MetadataRequest([MetadataRequestTopic(name="t")] * NAMES, False), 9),
        (
            DescribeConfigsRequest([DescribeConfigsResource(TOPIC, "t")] * NAMES),
            4,
        ),
    ],
    ids=["metadata of many topics", "metadata of one", "settings of one topic"],
)
def test_that_a_request_of_many_names_lets_others_in_between(
    live: Live, request_: Any, version: int
) -> None:
    whole_s, waited_s = took_s(live, lambda one: one.send(request_, version))
    assert waited_s < max(whole_s / 2, 0.25), (whole_s, waited_s)


def test_that_a_name_that_is_repeated_is_described_once(client: Client) -> None:
    configs = DescribeConfigsRequest([DescribeConfigsResource(TOPIC, "t")] * 50)
    assert [r.resource_name for r in client.ask(configs, 4).results] == ["t"]
    topics = MetadataRequest([MetadataRequestTopic(name="t"), MetadataRequestTopic(name="t")])
    assert [t.name for t in client.ask(topics, 9).topics] == ["t"]
