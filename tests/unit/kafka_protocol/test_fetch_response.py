"""The hand-written Fetch response is the generated writer's, byte for byte."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_protocol.codec import encode
from kafka_protocol.fetch_response import encode_fetch_response
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
def test_that_the_hand_written_fetch_response_equals_the_generated_one(
    version: int, message: FetchResponse
) -> None:
    pieces = encode_fetch_response(message, version, bytearray(b"head"))
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
    pieces = encode_fetch_response(message, 16, bytearray())
    assert [p is big for p in pieces] == [False, True, False]
