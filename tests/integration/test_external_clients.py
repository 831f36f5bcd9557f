"""External clients use the embedded cluster as they use any Kafka."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.external_clients.drivers import (
    Aiokafka,
    ConfluentKafka,
    Consumed,
    Driver,
    Kafkajs,
    KafkaPython,
    Kcat,
    Pair,
)

# Warnings inside an external client are not ours to fix.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(180)]

CLIENTS = ["confluent-kafka", "kafka-python", "aiokafka", "kcat", "kafkajs"]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Driver]:
    match request.param:
        case "kcat":
            yield Kcat(request.getfixturevalue("kcat"))
        case "kafkajs":
            folder: Path = request.getfixturevalue("kafkajs_dir")
            yield Kafkajs(folder)
        case "confluent-kafka":
            yield ConfluentKafka()
        case "kafka-python":
            yield KafkaPython()
        case _:
            yield Aiokafka()


def some_records(count: int = 60) -> list[Pair]:
    return [(f"key-{i % 7}", f"value {i} " + "abcdefgh" * 20) for i in range(count)]


def by_key(records: list[Pair]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in records:
        found[key].append(value)
    return found


def pairs(consumed: list[Consumed]) -> list[Pair]:
    return [(key, value) for _, _, key, value in sorted(consumed)]


@pytest.mark.parametrize(
    "client", [*CLIENTS[:-1], pytest.param("kafkajs", marks=pytest.mark.slow)], indirect=True
)
def test_that_a_client_creates_produces_with_every_codec_and_consumes_in_a_group(
    client: Driver, embedded_cluster: str
) -> None:
    topic = f"by-{client.name}"
    client.create(embedded_cluster, topic, 3, 3)
    sent: list[Pair] = []
    for codec in CODECS:
        records = [(key, f"{codec} {value}") for key, value in some_records()]
        client.produce(embedded_cluster, topic, codec, records)
        sent += records
    consumed = client.consume(embedded_cluster, topic, f"group-{client.name}", len(sent))
    assert by_key(pairs(consumed)) == by_key(sent), "every record once, in its key's order"

    # The group continues at its committed offsets.
    more = [(key, f"later {value}") for key, value in some_records(14)]
    client.produce(embedded_cluster, topic, "none", more)
    again = client.consume(embedded_cluster, topic, f"group-{client.name}", len(more))
    if client.name != "kcat":  # kcat commits in the background, at a time of its own
        assert by_key(pairs(again)) == by_key(more)


@pytest.mark.parametrize("client", CLIENTS, indirect=True)
@pytest.mark.parametrize("codec", CODECS)
def test_that_another_client_reads_what_a_client_produced(
    client: Driver, codec: str, embedded_cluster: str
) -> None:
    topic = f"crossed-{client.name}-{codec}"
    ConfluentKafka().create(embedded_cluster, topic, 2, 3)
    records = some_records(30)
    client.produce(embedded_cluster, topic, codec, records)
    consumed = ConfluentKafka().consume(embedded_cluster, topic, f"{topic}-readers", len(records))
    assert by_key(pairs(consumed)) == by_key(records)
