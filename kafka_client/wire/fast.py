"""ListOffsets requests written by hand: asked every second for thousands of partitions, and
twenty times dearer by schema."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from kafka_client.model import TopicPartition

LIST_OFFSETS = 2
FIRST_FLEXIBLE, FIRST_WITH_EPOCH, FIRST_WITH_ISOLATION, NEWEST = 6, 4, 2, 9
_PLAIN = struct.Struct(">iq")
_WITH_EPOCH = struct.Struct(">iiq")
_FLEXIBLE = struct.Struct(">iiqB")


def list_offsets_body(
    version: int, wanted: Mapping[TopicPartition, int], committed_only: bool
) -> bytes:
    """What follows the request header, for versions 1 to 9: as a client, any leader epoch."""
    by_topic: dict[str, list[tuple[int, int]]] = {}
    for (topic, partition), timestamp in wanted.items():
        by_topic.setdefault(topic, []).append((partition, timestamp))
    out = bytearray(struct.pack(">i", -1))
    if version >= FIRST_WITH_ISOLATION:
        out.append(1 if committed_only else 0)
    flexible = version >= FIRST_FLEXIBLE
    out += _uvarint(len(by_topic) + 1) if flexible else struct.pack(">i", len(by_topic))
    for topic, parts in by_topic.items():
        name = topic.encode()
        if flexible:
            out += _uvarint(len(name) + 1) + name + _uvarint(len(parts) + 1)
            for partition, timestamp in parts:
                out += _FLEXIBLE.pack(partition, -1, timestamp, 0)
            out.append(0)
        else:
            out += struct.pack(">h", len(name)) + name + struct.pack(">i", len(parts))
            for partition, timestamp in parts:
                if version >= FIRST_WITH_EPOCH:
                    out += _WITH_EPOCH.pack(partition, -1, timestamp)
                else:
                    out += _PLAIN.pack(partition, timestamp)
    if flexible:
        out.append(0)
    return bytes(out)


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
