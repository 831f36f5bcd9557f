"""Records in and out over confluent-kafka: a producer with delivery reports, and readers by
assignment.

Every function here may block and is called in a worker thread; confluent-kafka is imported on the
first call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafka_client.error_map import from_confluent
from kafka_client.errors import ClientError, TimedOut
from kafka_client.librdkafka import PARTITION_EOF, Properties, logger
from kafka_client.model import Header, NewRecord, Record, TopicPartition
from resources.wording import counted, verb

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

SEND_TIMEOUT_S = 15.0
SEND_RATE_LEAST = 10_000
"""Records per second: a large send gets so much more time."""
MESSAGE_BYTES_MOST = 100 << 20
"""librdkafka's own limit, far above the topics' usual one: the broker decides and says why."""
POLL_EVERY_RECORDS = 1000
LARGE_READ_AHEAD = 10_000
_TIMESTAMP_TYPES = {1: "create", 2: "append"}


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


class Reader:
    """One consumer with an assignment. Every method blocks; a lock lets one thread in at a time, so
    that closing waits for a read that goes on after its caller gave up."""

    def __init__(
        self, base: Properties, starts: Mapping[TopicPartition, int], read_ahead: int
    ) -> None:
        from confluent_kafka import Consumer, TopicPartition

        self._type = TopicPartition
        self._positions = dict(starts)
        self._lock = threading.Lock()
        self._consumer = Consumer(
            {
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 5,
                "fetch.error.backoff.ms": 100,
                **base,
                # librdkafka wants a group id even for assign(); no group is joined.
                "group.id": "kafkarium-reader",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "allow.auto.create.topics": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "queued.min.messages": max(1, read_ahead),
                "queued.max.messages.kbytes": 65536 if read_ahead > LARGE_READ_AHEAD else 8192,
            },
            logger=logger,
        )
        self._consumer.assign([TopicPartition(t, p, offset) for (t, p), offset in starts.items()])

    def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        """Wait at most ``max_wait_s`` for the first record, then return it with all that have
        arrived. Raises: ClientError."""
        records: list[Record] = []
        deadline_s = time.monotonic() + max_wait_s
        with self._lock:
            while len(records) < max_records:
                left_s = deadline_s - time.monotonic()
                wait_s = 0.0 if records else max(0.0, min(left_s, 0.1))
                messages = self._consumer.consume(max_records - len(records), wait_s)
                for message in messages:
                    if self._is_record(message):
                        records.append(_record(message))
                if not messages and (records or left_s <= 0):
                    break
            for record in records:
                self._positions[record.topic, record.partition] = record.offset + 1
        return records

    def _is_record(self, message: Message) -> bool:
        """False for the end of a partition, which moves the position past control records. Raises:
        ClientError for any other error."""
        error = message.error()
        if error is None:
            return True
        if error.code() != PARTITION_EOF:
            subject = message.topic() or ""
            raise from_confluent(error.code(), error.str(), "read records", subject=subject)
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and partition is not None and offset is not None
        if offset > self._positions.get((topic, partition), -1):
            self._positions[topic, partition] = offset
        return False

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def seek(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read from other offsets, over the connections that are open."""
        with self._lock:
            self._positions = dict(starts)
            self._consumer.assign([self._type(t, p, offset) for (t, p), offset in starts.items()])

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.pause([self._type(t, p) for t, p in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.resume([self._type(t, p) for t, p in partitions])

    def close(self) -> None:
        with self._lock:
            self._consumer.close()


def _record(message: Any) -> Record:
    """``Any``: confluent-kafka declares each part of a message optional; a record has all."""
    kind, timestamp_ms = message.timestamp()
    headers = message.headers()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp_ms,
        _TIMESTAMP_TYPES.get(kind, "none"),
        message.key(),
        message.value(),
        tuple(Header(k, v) for k, v in headers) if headers else (),
        message.leader_epoch(),
    )
