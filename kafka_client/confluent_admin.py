"""Changes over confluent-kafka's admin client: topics, partitions, records, groups.

Its futures are awaited with a deadline; every failure becomes one of ``errors``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kafka_client.error_map import from_confluent
from kafka_client.errors import BadInput, TimedOut
from kafka_client.model import NewTopic, TopicPartition

T = TypeVar("T")

REQUEST_TIMEOUT_S = 15.0
GRACE_S = 3.0


class Admin:
    """The half of ``api.ClusterWriter`` that confluent-kafka's AdminClient offers.

    ``base`` returns librdkafka's properties, secrets included; it is called when the first change
    is sent, in a worker thread, which makes the AdminClient then.
    """

    def __init__(self, base: Callable[[], Mapping[str, Any]], logger: logging.Logger) -> None:
        self._base, self._logger = base, logger
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def create_topics(self, topics: Sequence[NewTopic], validate_only: bool = False) -> None:
        from confluent_kafka.cimpl import NewTopic as Theirs

        wanted = [
            Theirs(
                t.name,
                num_partitions=t.partitions,
                replication_factor=t.replication_factor,
                config=dict(t.configs),
            )
            for t in topics
        ]
        client = await self._ready()
        futures = self._call(
            client.create_topics,
            wanted,
            doing="create topics",
            validate_only=validate_only,
            operation_timeout=REQUEST_TIMEOUT_S,
        )
        for name, future in futures.items():
            await self._answer(future, f"create topic {name}", name)

    async def delete_topics(self, names: Sequence[str]) -> None:
        client = await self._ready()
        doing = "delete topics"
        futures = self._call(
            client.delete_topics, list(names), doing=doing, operation_timeout=REQUEST_TIMEOUT_S
        )
        for name, future in futures.items():
            await self._answer(future, f"delete topic {name}", name)

    async def create_partitions(self, topic: str, total: int) -> None:
        from confluent_kafka.cimpl import NewPartitions

        client = await self._ready()
        doing = f"grow topic {topic} to {total} partitions"
        futures = self._call(client.create_partitions, [NewPartitions(topic, total)], doing=doing)
        for future in futures.values():
            await self._answer(future, doing, topic)

    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        from confluent_kafka import TopicPartition as Theirs

        client = await self._ready()
        wanted = [Theirs(t, p, offset) for (t, p), offset in before.items()]
        starts: dict[TopicPartition, int] = {}
        for tp, future in self._call(client.delete_records, wanted, doing="delete records").items():
            subject = f"{tp.topic}-{tp.partition}"
            deleted = await self._answer(future, f"delete records of {subject}", subject)
            starts[tp.topic, tp.partition] = deleted.low_watermark
        return starts

    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        from confluent_kafka import ConsumerGroupTopicPartitions
        from confluent_kafka import TopicPartition as Theirs

        client = await self._ready()
        doing = f"set offsets of group {group_id}"
        wanted = ConsumerGroupTopicPartitions(
            group_id, [Theirs(t, p, offset) for (t, p), offset in offsets.items()]
        )
        for future in self._call(
            client.alter_consumer_group_offsets, [wanted], doing=doing
        ).values():
            answer = await self._answer(future, doing, group_id)
            for tp in answer.topic_partitions:
                if tp.error is not None:
                    subject = f"{tp.topic}-{tp.partition}"
                    raise from_confluent(tp.error.code(), tp.error.str(), doing, subject=subject)

    async def delete_groups(self, group_ids: Sequence[str]) -> None:
        client = await self._ready()
        for group_id, future in self._call(
            client.delete_consumer_groups, list(group_ids), doing="delete groups"
        ).items():
            await self._answer(future, f"delete group {group_id}", group_id)

    # ---- inside
    async def _ready(self) -> Any:
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient(dict(self._base()), logger=self._logger)

    def _call(self, function: Any, *args: Any, doing: str, **options: Any) -> Any:
        """Start a request; it only queues. Raises: BadInput for what confluent-kafka itself
        refuses to send."""
        from confluent_kafka import KafkaException

        try:
            return function(*args, request_timeout=REQUEST_TIMEOUT_S, **options)
        except KafkaException as error:
            raise from_confluent(error.args[0].code(), error.args[0].str(), doing) from error
        except (ValueError, TypeError) as error:
            raise BadInput(f"Cannot {doing}: {error}.") from error

    async def _answer(self, future: concurrent.futures.Future[T], doing: str, subject: str) -> T:
        from confluent_kafka import KafkaException

        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S + GRACE_S):
                return await asyncio.wrap_future(future)
        except KafkaException as error:
            raise from_confluent(
                error.args[0].code(), error.args[0].str(), doing, subject=subject
            ) from error
        except TimeoutError:
            raise TimedOut(f"Cannot {doing}: no answer in time.", subject=subject) from None
