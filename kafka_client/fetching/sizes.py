"""How much a reader fetches at a time and keeps in advance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kafka_client.wire.connection import FRAME_MAX_BYTES

RESPONSE_MOST = FRAME_MAX_BYTES // 2
"""Bytes of batches in one response; the last batch may go beyond."""
LARGE_FRAME_BYTES = 160 << 20
"""The largest response: one batch may be as large as a broker allows."""
PARTITION_LEAST, PARTITION_MOST = 16 << 10, 4 << 20
KEPT_LEAST, KEPT_MOST = 1 << 20, 32 << 20
RECORD_BYTES = 500
"""A guess at the size of a record, before any is read."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """In bytes, but for ``wait_ms``."""

    response: int
    partition: int
    """Of one partition in a response."""
    kept: int
    """Of responses that are fetched before they are asked for; each partition may have one
    response more."""
    wait_ms: int = 100
    """How long a broker waits for records when it has none."""
    least: int = 1
    """How much a broker waits for."""


def sizes(read_ahead: int, partitions: int, properties: Mapping[str, str]) -> Sizes:
    """For a reader of so many partitions that fetches ``read_ahead`` records in advance; 0: nothing
    before the last response is read. The profile's properties of librdkafka's names win."""
    kept = min(KEPT_MOST, max(KEPT_LEAST, read_ahead * RECORD_BYTES * 4)) if read_ahead else 1
    share = max(PARTITION_LEAST, max(kept, KEPT_LEAST) // max(1, partitions))
    partition = min(PARTITION_MOST, share, max(64 << 10, read_ahead * RECORD_BYTES))
    chosen = Sizes(min(RESPONSE_MOST, max(kept, KEPT_LEAST)), partition, kept)
    wanted = {
        field: int(properties[name])
        for name, field in (
            ("fetch.max.bytes", "response"),
            ("fetch.message.max.bytes", "partition"),
            ("max.partition.fetch.bytes", "partition"),
            ("fetch.wait.max.ms", "wait_ms"),
            ("fetch.min.bytes", "least"),
        )
        if properties.get(name, "").strip().isdecimal()
    }
    chosen = replace(chosen, **wanted)
    return replace(chosen, response=min(RESPONSE_MOST, max(1, chosen.response)))
