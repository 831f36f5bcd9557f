"""A FetchResponse in pieces, so that records can be sent from their files with
sendfile.

The generated writer puts a message into one buffer and would copy all records through
memory. The rest of the response is written here by hand to the same bytes; the tests
hold both against each other.
"""

from __future__ import annotations

import struct
from typing import Any

from kafka_protocol.messages.k01_fetch import (
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
)
from kafka_protocol.primitives import write_string, write_uvarint

INLINE_BYTES = 8 * 1024
"""Records up to this size are read and copied into the response: cheaper than a
sendfile of their own."""

_INT32 = struct.Struct(">i")
_RESPONSE_HEAD = struct.Struct(">ihi")
_PARTITION_HEAD_4 = struct.Struct(">ihqq")
_PARTITION_HEAD_5 = struct.Struct(">ihqqq")
_ABORTED = struct.Struct(">qq")
# A structure in a tag is flexible too: the trailing byte is its own number of tags, 0.
_DIVERGING_EPOCH = struct.Struct(">iqB")
_CURRENT_LEADER = struct.Struct(">iiB")
_SNAPSHOT_ID = struct.Struct(">qiB")


def encode_fetch_response(message: FetchResponse, version: int, out: bytearray) -> list[Any]:
    """Append the response to ``out`` and return the pieces to send in order, ``out``
    first.

    Bytearrays and RecordSlices take turns: a RecordSlice larger than INLINE_BYTES is a
    piece of its own. Null records are written as no records, which consumers of all
    kinds accept.
    """
    flexible = version >= 12
    pieces: list[Any] = [out]
    if version >= 7:
        out += _RESPONSE_HEAD.pack(message.throttle_time_ms, message.error_code, message.session_id)
    else:
        out += _INT32.pack(message.throttle_time_ms)
    _count(out, len(message.responses), flexible)
    for topic in message.responses:
        _topic_head(out, topic, version)
        for p in topic.partitions:
            _partition_head(out, p, version)
            records: Any = p.records
            size = 0 if records is None else len(records)
            _count(out, size, flexible)
            if size:
                if isinstance(records, bytes | bytearray | memoryview):
                    out += records
                elif size <= INLINE_BYTES:
                    out += records.tobytes()
                else:
                    out = bytearray()  # what follows the records goes into a new piece
                    pieces += (records, out)
            if flexible:
                _partition_tags(out, p)
        if flexible:
            out.append(0)
    if flexible:
        _response_tags(out, message, version)
    if not out:
        pieces.pop()
    return pieces


def _count(out: bytearray, n: int, flexible: bool) -> None:
    if flexible:
        write_uvarint(out, n + 1)
    else:
        out += _INT32.pack(n)


def _topic_head(out: bytearray, topic: FetchableTopicResponse, version: int) -> None:
    flexible = version >= 12
    if version >= 13:
        out += topic.topic_id.bytes
    else:
        write_string(out, topic.topic, flexible)
    _count(out, len(topic.partitions), flexible)


def _partition_head(out: bytearray, p: PartitionData, version: int) -> None:
    """Everything in front of the records."""
    start = (p.partition_index, p.error_code, p.high_watermark, p.last_stable_offset)
    if version >= 5:
        out += _PARTITION_HEAD_5.pack(*start, p.log_start_offset)
    else:
        out += _PARTITION_HEAD_4.pack(*start)
    flexible = version >= 12
    aborted = p.aborted_transactions
    if aborted is None:
        out += b"\x00" if flexible else b"\xff\xff\xff\xff"
    else:
        _count(out, len(aborted), flexible)
        for a in aborted:
            out += _ABORTED.pack(a.producer_id, a.first_offset)
            if flexible:
                out.append(0)
    if version >= 11:
        out += _INT32.pack(p.preferred_read_replica)


def _partition_tags(out: bytearray, p: PartitionData) -> None:
    """Only what differs from the defaults, as the generated writer does."""
    diverging, leader, snapshot = p.diverging_epoch, p.current_leader, p.snapshot_id
    tags = []
    if diverging.epoch != -1 or diverging.end_offset != -1:
        tags.append((0, _DIVERGING_EPOCH.pack(diverging.epoch, diverging.end_offset, 0)))
    if leader.leader_id != -1 or leader.leader_epoch != -1:
        tags.append((1, _CURRENT_LEADER.pack(leader.leader_id, leader.leader_epoch, 0)))
    if snapshot.end_offset != -1 or snapshot.epoch != -1:
        tags.append((2, _SNAPSHOT_ID.pack(snapshot.end_offset, snapshot.epoch, 0)))
    _tags(out, tags)


def _response_tags(out: bytearray, message: FetchResponse, version: int) -> None:
    if version < 16 or not message.node_endpoints:
        out.append(0)
        return
    data = bytearray()
    write_uvarint(data, len(message.node_endpoints) + 1)
    for node in message.node_endpoints:
        data += _INT32.pack(node.node_id)
        write_string(data, node.host, True)
        data += _INT32.pack(node.port)
        write_string(data, node.rack, True)
        data.append(0)
    _tags(out, [(0, bytes(data))])


def _tags(out: bytearray, tags: list[tuple[int, bytes]]) -> None:
    write_uvarint(out, len(tags))
    for tag, data in tags:
        write_uvarint(out, tag)
        write_uvarint(out, len(data))
        out += data
