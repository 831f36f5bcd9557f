"""What it costs to decode a large cluster's responses, beside kio's native reader, in
one run.

Processor time; both take turns, medians. kio's reader is compiled code, and the
yardstick of how fast the machine is: read the ratios. The last line is JSON, for
bench.py.
"""

from __future__ import annotations

import importlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from kio.schema.index import api_key_map
from kio.serial import entity_reader

from kafka_protocol import codec
from kafka_protocol.messages import k02_list_offsets as k02
from kafka_protocol.messages import k03_metadata as k03
from kafka_protocol.messages import k09_offset_fetch as k09
from kafka_protocol.messages import k15_describe_groups as k15

TOPICS, PARTITIONS = 10_000, 4
ROUNDS = 7


def names() -> list[str]:
    return [f"topic-{number:05d}.events" for number in range(TOPICS)]


def metadata() -> Any:
    replicas = [0, 1, 2]

    def topic(number: int, name: str) -> k03.MetadataResponseTopic:
        partitions = [
            k03.MetadataResponsePartition(0, p, p % 3, 4, replicas, replicas)
            for p in range(PARTITIONS)
        ]
        return k03.MetadataResponseTopic(0, name, UUID(int=number + 1), partitions=partitions)

    return k03.MetadataResponse(topics=[topic(i, name) for i, name in enumerate(names())])


def list_offsets() -> Any:
    partitions = [k02.ListOffsetsPartitionResponse(p, offset=123_456) for p in range(PARTITIONS)]
    return k02.ListOffsetsResponse(
        topics=[k02.ListOffsetsTopicResponse(name, partitions) for name in names()]
    )


def offset_fetch() -> Any:
    partitions = [k09.OffsetFetchResponsePartitions(p, 123_456) for p in range(PARTITIONS)]
    topics = [k09.OffsetFetchResponseTopics(name, partitions=partitions) for name in names()]
    return k09.OffsetFetchResponse(groups=[k09.OffsetFetchResponseGroup("g", topics)])


def describe_groups() -> Any:
    def group(number: int) -> k15.DescribedGroup:
        members = [
            k15.DescribedGroupMember(
                f"member-{number}-{m}", None, "c", "/10.0.0.1", b"x" * 40, b"y" * 60
            )
            for m in range(PARTITIONS)
        ]
        return k15.DescribedGroup(group_id=f"group-{number}", group_state="Stable", members=members)

    return k15.DescribeGroupsResponse(groups=[group(number) for number in range(TOPICS)])


CASES: dict[str, tuple[Callable[[], Any], int]] = {
    "Metadata": (metadata, 12),
    "ListOffsets": (list_offsets, 9),
    "OffsetFetch": (offset_fetch, 8),
    "DescribeGroups": (describe_groups, 5),
}


def kio_reader(api_key: int, version: int) -> Callable[[memoryview], Any]:
    api = api_key_map[api_key]
    module = importlib.import_module(f"kio.schema.{api}.v{version}.response")
    root = next(
        c
        for c in vars(module).values()
        if getattr(c, "__module__", "") == module.__name__ and c.__type__.name == "response"
    )
    read = entity_reader(root)
    return lambda data: read(data, 0)


def cpu_ms(work: Callable[..., Any], *arguments: Any) -> float:
    start = time.process_time()
    work(*arguments)
    return (time.process_time() - start) * 1000


def main() -> None:
    figures: dict[str, dict[str, float]] = {}
    for name, (make, version) in CASES.items():
        message = make()
        cls = type(message)
        data = bytes(codec.encode(message, version))
        del message
        kio = kio_reader(cls.API_KEY, version)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(ROUNDS):
            ours.append(cpu_ms(codec.decode, cls, version, data))
            theirs.append(cpu_ms(kio, memoryview(data)))
        figures[name] = {"now": statistics.median(ours), "kio": statistics.median(theirs)}
        row = figures[name]
        print(
            f"{name:16} {len(data) / 1e6:5.1f} MB  {row['now']:6.1f} ms, kio {row['kio']:6.1f} ms,"
            f" ratio {row['now'] / row['kio']:.2f}"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
