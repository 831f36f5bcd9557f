"""The hand-written readers and writers say what the compiled codec says, byte for byte."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_protocol import fast
from kafka_protocol.codec import ProtocolError, decode, encode
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k01_fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    SnapshotId,
)


class Slice:
    """A RecordSlice of so many bytes."""

    def __init__(self, size: int) -> None:
        self.data = bytes(i % 251 for i in range(size))

    def __len__(self) -> int:
        return len(self.data)

    def tobytes(self) -> bytes:
        return self.data


I32 = st.integers(-1, 2**31 - 1)
I64 = st.integers(-1, 2**63 - 1)
RECORDS = st.one_of(
    st.none(),
    st.just(b""),
    st.binary(max_size=40),
    st.builds(Slice, st.sampled_from([0, 1, 8192, 8193, 20_000])),
)
PARTITION = st.builds(
    PartitionData,
    I32,
    st.integers(0, 110),
    I64,
    I64,
    I64,
    diverging_epoch=st.builds(EpochEndOffset, I32, I64),
    current_leader=st.builds(LeaderIdAndEpoch, I32, I32),
    snapshot_id=st.builds(SnapshotId, I64, I32),
    aborted_transactions=st.one_of(
        st.none(), st.lists(st.builds(AbortedTransaction, I64, I64), max_size=2)
    ),
    preferred_read_replica=I32,
    records=RECORDS,
)
TOPIC = st.builds(
    FetchableTopicResponse, st.text("abc", max_size=5), st.uuids(), st.lists(PARTITION, max_size=3)
)
RESPONSE = st.builds(
    FetchResponse,
    I32,
    st.integers(0, 110),
    I32,
    st.lists(TOPIC, max_size=3),
    st.lists(
        st.builds(NodeEndpoint, I32, st.text("host", max_size=9), I32, st.none() | st.just("r")),
        max_size=2,
    ),
)


@pytest.mark.parametrize("version", range(4, 19))
@settings(max_examples=25, deadline=None)
@given(message=RESPONSE)
def test_that_the_fast_fetch_response_equals_the_codecs(
    version: int, message: FetchResponse
) -> None:
    pieces = fast.encode_fetch_response(message, version, bytearray(b"head"))
    joined = b"".join(bytes(p) if isinstance(p, bytearray) else p.tobytes() for p in pieces)
    for topic in (
        message.responses
    ):  # the codec writes null records as null; consumers of all kinds take an empty set
        for partition in topic.partitions:
            partition.records = partition.records if partition.records is not None else b""
    assert joined == b"head" + encode(message, version)
    assert all(isinstance(p, bytearray) == (i % 2 == 0) for i, p in enumerate(pieces))


def test_that_large_records_are_left_to_sendfile() -> None:
    big = Slice(100_000)
    data = [PartitionData(0, records=big), PartitionData(1, records=Slice(10))]  # type: ignore[arg-type]
    message = FetchResponse(responses=[FetchableTopicResponse("t", UUID(int=1), data)])
    pieces = fast.encode_fetch_response(message, 16, bytearray())
    assert [p is big for p in pieces] == [False, True, False]


PRODUCE = st.builds(
    ProduceRequest,
    st.none() | st.text("tx", max_size=9),
    st.integers(-2, 2),
    I32,
    st.lists(
        st.builds(
            TopicProduceData,
            st.text("topic.é", max_size=20),
            st.uuids(),
            st.lists(
                st.builds(PartitionProduceData, I32, st.none() | st.binary(max_size=300)),
                max_size=3,
            ),
        ),
        max_size=3,
    ),
)


def either(version: int, data: bytes) -> object:
    """What both readers make of it: the message, or None for malformed."""
    found = []
    view = memoryview(bytearray(data))
    for read in (
        lambda: fast.decode_produce_request(version, view, 0),
        lambda: decode(ProduceRequest, version, view, 0, more_may_follow=True),
    ):
        try:
            found.append(read())
        except ProtocolError:
            found.append(None)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("version", range(3, 14))
@settings(max_examples=40, deadline=None)
@given(message=PRODUCE, data=st.data())
def test_that_the_fast_reader_reads_what_the_codec_reads(
    version: int, message: ProduceRequest, data: st.DataObject
) -> None:
    whole = bytes(encode(message, version))
    assert either(version, whole) is not None
    assert either(version, whole + b"more") is not None
    cut = data.draw(st.integers(0, len(whole) - 1))
    either(version, whole[:cut])
    changed = bytearray(whole)
    changed[cut] ^= data.draw(st.integers(1, 255))
    either(version, bytes(changed))
