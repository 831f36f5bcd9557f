"""The corpus of tests/unit/kafka_protocol/hostile.py, as requests to a broker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from embedded_broker.core import api
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import request_class
from kafka_protocol.fields import Message
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from kafka_protocol.primitives import CLIENT_ITEMS_MAX
from tests.unit.embedded_broker.shell.fakes import Served, framed, header
from tests.unit.kafka_protocol import hostile

FROM_CLIENTS = [key for key, entry in api.TABLE.items() if not entry.between_brokers]
# The node behind the shell is a fake that takes the contents of these two for granted.
NOT_ANSWERED = (ApiKey.PRODUCE, ApiKey.FETCH)


@pytest.mark.parametrize("api_key", FROM_CLIENTS, ids=lambda key: key.name.lower())
def test_that_a_hostile_request_is_answered_or_closes_its_connection_alone(
    broker: Served, api_key: int
) -> None:
    cls = request_class(api_key)
    version = min(cls.MAX_VERSION, api.TABLE[api_key].max_version)
    healthy = broker.connect()
    for data in hostile.some(cls, version, seed=api_key, count=25):
        if api_key in NOT_ANSWERED:
            data = data[: len(data) // 2] + b"\xff" * 12  # never well-formed
        client = broker.connect()
        tags = b"\x00" if version >= cls.FLEXIBLE_SINCE else b""
        client.raw(framed(header(api_key, version, 7) + tags + data))
        frame = client.frame()  # None: the broker closed the connection
        assert frame is None or frame[:4] == b"\x00\x00\x00\x07"
        client.close()
        assert healthy.ask(MetadataRequest(), 9).cluster_id == "now"
    healthy.close()
    assert broker.code is None and "Traceback" not in broker.log.text


@pytest.mark.parametrize("tags", hostile.TAGS[:3])
def test_that_hostile_tags_in_a_request_header_close_the_connection(
    broker: Served, tags: bytes
) -> None:
    client = broker.connect()
    client.raw(framed(header(ApiKey.METADATA, 12, 7) + tags + b"\x00" * 40))
    assert client.frame() is None
    client.close()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda n: MetadataRequest([MetadataRequestTopic(name=str(i)) for i in range(n)]),
        # Numbers, for each of which the answer would have a partition.
        lambda n: OffsetFetchRequest(
            groups=[
                OffsetFetchRequestGroup(
                    "g", topics=[OffsetFetchRequestTopics("t", partition_indexes=[0] * (n - 2))]
                )
            ]
        ),
    ],
    ids=["metadata", "offset_fetch"],
)
def test_row_09_that_a_client_may_not_name_more_things_than_are_decoded_in_a_moment(
    broker: Served, request_of: Callable[[int], Message]
) -> None:
    healthy = broker.connect()
    for items, is_taken in ((CLIENT_ITEMS_MAX, True), (CLIENT_ITEMS_MAX + 1, False)):
        client = broker.connect()
        client.send(request_of(items), 9)
        assert (client.frame() is not None) is is_taken
        client.close()
    broker.log.wait_for("more than 20000 items")
    assert healthy.ask(MetadataRequest(), 9).cluster_id == "now"
    healthy.close()
