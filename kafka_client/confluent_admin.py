"""Changes over confluent-kafka's admin client: topics, partitions, records. Those of groups go over
``wire.group_changes``.

Its futures are awaited with a deadline; every failure becomes one of ``errors``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kafka_client.error_map import from_confluent
from kafka_client.errors import BadInput, TimedOut
from kafka_client.librdkafka import Properties, logger
from kafka_client.model import NewTopic, TopicPartition
from resources.wording import counted

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

K = TypeVar("K")
T = TypeVar("T")

REQUEST_TIMEOUT_S = 15.0
GRACE_S = 3.0
"""How much longer a future is awaited than its request may take."""


class Admin:
    """The half of ``api.ClusterWriter`` that confluent-kafka's AdminClient offers.

    ``properties`` returns librdkafka's properties, secrets included. It is called when the first
    change is sent; the AdminClient is made then, in a worker thread.
    """

    def __init__(self, properties: Callable[[], Properties]) -> None:
        self._properties = properties
        self._client: AdminClient | None = None
        self._lock = asyncio.Lock()

    async def create_topics(self, topics: Sequence[NewTopic], validate_only: bool = False) -> None:
        from confluent_kafka.cimpl import NewTopic as AdminNewTopic

        new = [
            AdminNewTopic(
                t.name,
                num_partitions=t.partitions,
                replication_factor=t.replication_factor,
                config=dict(t.configs),
            )
            for t in topics
        ]
        client = await self._made()
        futures = _start(
            "create topics",
            client.create_topics,
            new,
            validate_only=validate_only,
            operation_timeout=REQUEST_TIMEOUT_S,
        )
        for name, future in futures.items():
            await _result(future, f"create topic {name}", name)

    async def delete_topics(self, names: Sequence[str]) -> None:
        client = await self._made()
        futures = _start(
            "delete topics",
            client.delete_topics,
            list(names),
            operation_timeout=REQUEST_TIMEOUT_S,
        )
        for name, future in futures.items():
            await _result(future, f"delete topic {name}", name)

    async def create_partitions(self, topic: str, total: int) -> None:
        from confluent_kafka.cimpl import NewPartitions

        client = await self._made()
        doing = f"grow topic {topic} to {counted(total, 'partition')}"
        futures = _start(doing, client.create_partitions, [NewPartitions(topic, total)])
        for future in futures.values():
            await _result(future, doing, topic)

    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        from confluent_kafka import TopicPartition as AdminPartition

        client = await self._made()
        partitions = [AdminPartition(t, p, offset) for (t, p), offset in before.items()]
        starts: dict[TopicPartition, int] = {}
        futures = _start("delete records", client.delete_records, partitions)
        for tp, future in futures.items():
            subject = f"{tp.topic}-{tp.partition}"
            deleted = await _result(future, f"delete records of {subject}", subject)
            starts[tp.topic, tp.partition] = deleted.low_watermark
        return starts

    async def _made(self) -> AdminClient:
        """The AdminClient; the first call makes it."""
        from confluent_kafka.admin import AdminClient

        async with self._lock:
            if self._client is None:
                properties = self._properties()
                self._client = await asyncio.to_thread(AdminClient, properties, logger=logger)
            return self._client


def _start(
    doing: str,
    function: Callable[..., Mapping[K, concurrent.futures.Future[Any]]],
    *args: object,
    **options: object,
) -> Mapping[K, concurrent.futures.Future[Any]]:
    """Queue a request; return its futures by subject. Raises: BadInput for what confluent-kafka
    refuses to send, ClientError for what librdkafka refuses."""
    from confluent_kafka import KafkaException

    try:
        return function(*args, request_timeout=REQUEST_TIMEOUT_S, **options)
    except KafkaException as error:
        raise from_confluent(error.args[0].code(), error.args[0].str(), doing) from error
    except (ValueError, TypeError) as error:
        raise BadInput(f"Cannot {doing}: {error}.") from error


async def _result(future: concurrent.futures.Future[T], doing: str, subject: str) -> T:
    """Await one future of a request. Raises: ClientError."""
    from confluent_kafka import KafkaException

    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S + GRACE_S):
            return await asyncio.wrap_future(future)
    except KafkaException as error:
        code, text = error.args[0].code(), error.args[0].str()
        raise from_confluent(code, text, doing, subject=subject) from error
    except TimeoutError:
        raise TimedOut(f"Cannot {doing}: no answer in time.", subject=subject) from None
