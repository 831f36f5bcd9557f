"""Sends records over confluent-kafka, with delivery reports.

Every function here may block and is called in a worker thread; confluent-kafka is imported on the
first call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kafka_client.error_map import from_confluent
from kafka_client.errors import ClientError, TimedOut
from kafka_client.librdkafka import Properties, logger
from kafka_client.model import NewRecord
from resources.wording import counted, verb

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

SEND_TIMEOUT_S = 15.0
SEND_RATE_LEAST = 10_000
"""Records per second: a large send gets so much more time."""
MESSAGE_BYTES_MOST = 100 << 20
"""librdkafka's own limit, far above the topics' usual one: the broker decides and says why."""
POLL_EVERY_RECORDS = 1000


class _Delivery:
    """The delivery reports of one send call. Called by ``poll``, in the thread that sends."""

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self._records = records
        self._places: list[tuple[int, int] | None] = [None] * len(records)
        self._errors: dict[int, ClientError] = {}
        self._stored = 0

    @property
    def done(self) -> bool:
        return self._stored + len(self._errors) >= len(self._records)

    def callback(self, index: int) -> Callable[[KafkaError | None, Message], None]:
        """The report of the record at ``index``."""

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.fail(index, error)
                return
            offset = message.offset()
            # Without acknowledgement (acks=0) the offset is not known.
            known = offset if offset is not None and offset >= 0 else -1
            self._places[index] = (message.partition() or 0, known)
            self._stored += 1

        return report

    def fail(self, index: int, error: KafkaError) -> None:
        topic = self._records[index].topic
        doing = f"send to topic {topic}"
        self._errors[index] = from_confluent(error.code(), error.str(), doing, subject=topic)

    def places(self) -> list[tuple[int, int]]:
        """(partition, offset) of each record. Raises: ClientError of the first that failed,
        TimedOut when some are not acknowledged."""
        total = counted(len(self._records), "record")
        if self._errors:
            error = self._errors[min(self._errors)]
            sent = f"{self._stored:,} of {total} {verb(self._stored, 'was', 'were')} sent."
            error.detail = f"{sent} {error.detail}".strip()
            raise error
        places = [place for place in self._places if place is not None]
        missing = len(self._records) - len(places)
        if missing:
            raise TimedOut(
                f"{missing:,} of {total} {verb(missing, 'was', 'were')} not acknowledged in time.",
                next_step="The cluster may have stored them: look before you send again.",
            )
        return places


class Sender:
    """One producer per (acks, compression), made when first used. Callable from several threads."""

    def __init__(self, base: Properties) -> None:
        self._base = base
        self._producers: dict[tuple[int, str], Producer] = {}
        self._lock = threading.Lock()

    def send(
        self, records: Sequence[NewRecord], acks: int, compression: str
    ) -> list[tuple[int, int]]:
        """Send and wait until every record is acknowledged or has failed. Returns (partition,
        offset) of each. Raises: ClientError of the first that failed; its ``detail`` says how many
        were sent."""
        producer = self._producer(acks, compression)
        delivery = _Delivery(records)
        deadline_s = time.monotonic() + SEND_TIMEOUT_S + len(records) / SEND_RATE_LEAST
        for index, record in enumerate(records):
            _enqueue(producer, record, index, delivery, deadline_s)
            if index % POLL_EVERY_RECORDS == POLL_EVERY_RECORDS - 1:
                producer.poll(0)
        while not delivery.done and time.monotonic() < deadline_s:
            producer.poll(0.05)
        return delivery.places()

    def close(self) -> None:
        """Send what is queued, within a second for each producer."""
        for producer in self._producers.values():
            producer.flush(1.0)
        self._producers.clear()

    def _producer(self, acks: int, compression: str) -> Producer:
        from confluent_kafka import Producer

        with self._lock:
            if (acks, compression) not in self._producers:
                self._producers[acks, compression] = Producer(
                    {
                        "message.timeout.ms": int(SEND_TIMEOUT_S * 1000) - 1000,
                        "message.max.bytes": MESSAGE_BYTES_MOST,
                        "linger.ms": 2,
                        **self._base,
                        "acks": acks,
                        "compression.type": compression,
                        "partitioner": "murmur2_random",
                    },
                    logger=logger,
                )
            return self._producers[acks, compression]


def _enqueue(
    producer: Producer, record: NewRecord, index: int, delivery: _Delivery, deadline_s: float
) -> None:
    """Put one record into the producer's queue. Raises: TimedOut when the queue stays full."""
    from confluent_kafka import KafkaException

    options: dict[str, Any] = {}
    if record.partition is not None:
        options["partition"] = record.partition
    if record.timestamp_ms is not None:
        options["timestamp"] = record.timestamp_ms
    if record.headers:
        options["headers"] = [(h.key, h.value) for h in record.headers]
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                on_delivery=delivery.callback(index),
                **options,
            )
            return
        except BufferError:
            producer.poll(0.05)
            if time.monotonic() > deadline_s:
                raise TimedOut(
                    "The cluster takes records too slowly.", subject=record.topic
                ) from None
        except KafkaException as error:
            delivery.fail(index, error.args[0])
            return
