"""Records in and out over confluent-kafka: a producer with delivery reports, and readers by
assignment.

Every function here may block and is called in a worker thread; confluent-kafka is imported on the
first call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka_client.error_map import clean, from_confluent
from kafka_client.errors import ClientError, TimedOut
from kafka_client.model import Header, NewRecord, Record, TopicPartition
from kafka_client.profile import ConnectionProfile, Protocol
from kafka_client.secrets import Secrets

SEND_TIMEOUT_S = 15.0
PARTITION_EOF = -191
LOG_LINES_KEPT = 200
_TIMESTAMP_TYPES = {1: "create", 2: "append"}


class LogRing(logging.Handler):
    """What librdkafka says, at most one line a second and the last 200: it repeats itself per
    dead broker."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[tuple[float, str]] = deque(maxlen=LOG_LINES_KEPT)
        self.dropped = 0
        self._next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now < self._next:
            self.dropped += 1
            return
        self._next = now + 1.0
        self.lines.append((time.time(), clean(record.getMessage(), 300)))


def make_logger(ring: LogRing) -> logging.Logger:
    logger = logging.Logger("librdkafka", logging.INFO)
    logger.addHandler(ring)
    return logger


def properties(profile: ConnectionProfile, secrets: Secrets) -> dict[str, Any]:
    """What a profile means to librdkafka. Holds secrets: never show or log it."""
    made: dict[str, Any] = {
        "client.id": "kafkarium",
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 5_000,
        "log_level": 4,
        **profile.properties,
        "bootstrap.servers": ",".join(profile.bootstrap_servers),
        "security.protocol": profile.security_protocol.value,
    }
    if profile.security_protocol.tls:
        if profile.ca_path:
            made["ssl.ca.location"] = profile.ca_path
        if profile.certificate_path:
            made["ssl.certificate.location"] = profile.certificate_path
            made["ssl.key.location"] = profile.key_path
        if profile.key_password_ref:
            made["ssl.key.password"] = secrets.get(profile.key_password_ref) or ""
        if not profile.verify_hostname:
            made["ssl.endpoint.identification.algorithm"] = "none"
    if profile.security_protocol in (Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL):
        made["sasl.mechanism"] = profile.sasl_mechanism.value
        made["sasl.username"] = profile.sasl_username
        made["sasl.password"] = secrets.get(profile.sasl_password_ref) or ""
    return made


class Sender:
    """One producer per (acks, compression), made when first used. Callable from several threads."""

    def __init__(self, base: Mapping[str, Any], logger: logging.Logger) -> None:
        self._base, self._logger = dict(base), logger
        self._producers: dict[tuple[int, str], Any] = {}
        self._lock = threading.Lock()

    def send(
        self, records: Sequence[NewRecord], acks: int, compression: str
    ) -> list[tuple[int, int]]:
        """Blocks until every record is acknowledged or one failed. Raises: ClientError for the
        first that failed; its ``detail`` says how many were sent."""
        from confluent_kafka import KafkaException

        producer = self._producer(acks, compression)
        results: list[tuple[int, int] | None] = [None] * len(records)
        failures: dict[int, ClientError] = {}

        def reported(number: int) -> Any:
            def report(error: Any, message: Any) -> None:
                if error is not None:
                    doing = f"send to topic {records[number].topic}"
                    failures[number] = from_confluent(
                        error.code(), error.str(), doing, subject=records[number].topic
                    )
                else:
                    offset = message.offset()
                    results[number] = (
                        message.partition(),
                        -1 if offset is None or offset < 0 else offset,
                    )

            return report

        deadline = time.monotonic() + SEND_TIMEOUT_S + len(records) / 10_000
        for number, record in enumerate(records):
            extra: dict[str, Any] = {}
            if record.partition is not None:
                extra["partition"] = record.partition
            if record.timestamp_ms is not None:
                extra["timestamp"] = record.timestamp_ms
            if record.headers:
                extra["headers"] = [(h.key, h.value) for h in record.headers]
            while True:
                try:
                    producer.produce(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        on_delivery=reported(number),
                        **extra,
                    )
                    break
                except BufferError:
                    producer.poll(0.05)
                    if time.monotonic() > deadline:
                        raise TimedOut(
                            "The cluster takes records too slowly.", subject=record.topic
                        ) from None
                except KafkaException as error:
                    code, text = error.args[0].code(), error.args[0].str()
                    failures[number] = from_confluent(
                        code, text, f"send to topic {record.topic}", subject=record.topic
                    )
                    break
            if number % 1000 == 999:
                producer.poll(0)
        while time.monotonic() < deadline and len(failures) + sum(
            r is not None for r in results
        ) < len(records):
            producer.poll(0.05)
        sent = [r for r in results if r is not None]
        if failures:
            first = failures[min(failures)]
            first.detail = (
                f"{len(sent)} of {len(records)} records were sent. {first.detail}".strip()
            )
            raise first
        if len(sent) < len(records):
            raise TimedOut(
                f"{len(records) - len(sent)} of {len(records)} records were not acknowledged in time.",
                next_step="They may have been stored nevertheless: look before sending again.",
            )
        return sent

    def close(self) -> None:
        for producer in self._producers.values():
            producer.flush(1.0)
        self._producers.clear()

    def _producer(self, acks: int, compression: str) -> Any:
        from confluent_kafka import Producer

        with self._lock:
            if (acks, compression) not in self._producers:
                self._producers[acks, compression] = Producer(
                    {
                        "message.timeout.ms": int(SEND_TIMEOUT_S * 1000) - 1000,
                        "linger.ms": 2,
                        **self._base,
                        "acks": acks,
                        "compression.type": compression,
                        "partitioner": "murmur2_random",
                    },
                    logger=self._logger,
                )
            return self._producers[acks, compression]


class Reader:
    """One consumer with an assignment. Blocking; one thread at a time."""

    def __init__(
        self,
        base: Mapping[str, Any],
        logger: logging.Logger,
        starts: Mapping[TopicPartition, int],
        read_ahead: int,
    ) -> None:
        from confluent_kafka import Consumer, TopicPartition

        self._type = TopicPartition
        self._positions = dict(starts)
        self._consumer = Consumer(
            {
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 5,
                "fetch.error.backoff.ms": 100,
                **base,
                "group.id": "kafkarium-reader",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "allow.auto.create.topics": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "queued.min.messages": max(1, read_ahead),
                "queued.max.messages.kbytes": 65536 if read_ahead > 10_000 else 8192,
            },
            logger=logger,
        )
        self._consumer.assign([TopicPartition(t, p, offset) for (t, p), offset in starts.items()])

    def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        """Waits for the first record at most; then takes what is there. Ends early when all
        partitions are at their end and were so before."""
        records: list[Record] = []
        deadline = time.monotonic() + max_wait_s
        while len(records) < max_records:
            left = deadline - time.monotonic()
            wait = 0.0 if records else max(0.0, min(left, 0.1))
            messages = self._consumer.consume(max_records - len(records), wait)
            for message in messages:
                error = message.error()
                if error is None:
                    records.append(_record(message))
                elif error.code() == PARTITION_EOF:
                    self._passed(message)
                else:
                    raise from_confluent(
                        error.code(), error.str(), "read records", subject=message.topic() or ""
                    )
            if (not messages and records) or (not messages and left <= 0):
                break
        for record in records:
            self._positions[record.topic, record.partition] = record.offset + 1
        return records

    def _passed(self, message: Any) -> None:
        tp = (message.topic(), message.partition())
        if message.offset() > self._positions.get(tp, -1):
            self._positions[tp] = message.offset()

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def seek(self, starts: Mapping[TopicPartition, int]) -> None:
        """Begin anew elsewhere, on the connections that are open."""
        self._positions = dict(starts)
        self._consumer.assign([self._type(t, p, offset) for (t, p), offset in starts.items()])

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.pause([self._type(t, p) for t, p in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.resume([self._type(t, p) for t, p in partitions])

    def close(self) -> None:
        self._consumer.close()


def _record(message: Any) -> Record:
    kind, timestamp = message.timestamp()
    headers = message.headers()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp,
        _TIMESTAMP_TYPES.get(kind, "none"),
        message.key(),
        message.value(),
        tuple(Header(k, v) for k, v in headers) if headers else (),
        message.leader_epoch(),
    )
