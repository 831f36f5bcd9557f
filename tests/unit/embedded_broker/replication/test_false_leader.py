"""A leader whose answers make no sense: a broker of the cluster, with its secret, but broken.

Its followers refuse what cannot follow their logs, go on, and have the right records once it is
right again. What they cannot know is in docs/security.md: whole valid batches are believed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from kafka_protocol.messages.k01_fetch import EpochEndOffset, FetchResponse, PartitionData
from kafka_protocol.records.batch import batches
from tests.unit.embedded_broker.replication.bench import Bench, batch, values

FAR = 1 << 62
CHECKED_FROM = 16
"""Where a batch's format is. The base offset and the epoch before it are outside the checksum, and
a gap between offsets is valid: it is the leader that finds them damaged, when it reads them."""


def other_records(data: PartitionData, _rng: random.Random) -> None:
    data.records = bytes(batch("false")) if data.records else data.records


def changed_bytes(data: PartitionData, rng: random.Random) -> None:
    if data.records:
        records = bytearray(data.records)
        end = next(iter(batches(records))).size
        for _ in range(rng.choice([1, 3])):
            records[rng.randrange(CHECKED_FROM, end)] ^= rng.randrange(1, 256)
        data.records = bytes(records)


def half_a_batch(data: PartitionData, rng: random.Random) -> None:
    if data.records:
        data.records = bytes(data.records)[: rng.randrange(1, len(data.records))]


def repeated(data: PartitionData, _rng: random.Random) -> None:
    if data.records:
        data.records = bytes(data.records) * 2


def marks_beyond(data: PartitionData, rng: random.Random) -> None:
    data.high_watermark = rng.choice([FAR, -5, 0])
    data.log_start_offset = rng.choice([-5, -1, data.log_start_offset])


def errors(data: PartitionData, rng: random.Random) -> None:
    data.error_code = rng.choice([-1, 3, 6, 56, 74, 76, 999])


def diverges_strangely(data: PartitionData, rng: random.Random) -> None:
    data.diverging_epoch = EpochEndOffset(rng.choice([0, 5, 1 << 30]), rng.choice([-9, FAR]))


@pytest.mark.parametrize(
    "lie",
    [
        other_records,
        changed_bytes,
        half_a_batch,
        repeated,
        marks_beyond,
        errors,
        diverges_strangely,
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_that_followers_outlive_false_answers_and_agree_afterwards(
    lie: Callable[[PartitionData, random.Random], None], seed: int
) -> None:
    rng = random.Random(seed)
    bench = Bench()
    bench.create()
    written: list[str] = []

    def write() -> None:
        text = f"record {len(written)}"
        bench.nodes[1].produce(batch(text), acks=1)
        written.append(text)
        bench.run(rng.choice([1, 20, 600]))

    def forge(response: Any) -> None:
        if isinstance(response, FetchResponse) and rng.random() < 0.5:
            for topic in response.responses:
                for data in topic.partitions:
                    lie(data, rng)

    write()
    bench.forge = forge
    for _ in range(12):
        write()
        for node in bench.alive():
            log = node.partition().log
            held = log.read(0, 1 << 20, log.log_end_offset, True)
            assert all(header.size for header in batches(bytes(held.tobytes()))), "whole batches"
            assert node.partition().high_watermark <= log.log_end_offset
    bench.forge = lambda _response: None
    bench.run(20_000)
    for node in bench.alive():
        log = node.partition().log
        assert values(log.read(0, 1 << 20, log.log_end_offset, True)) == written
