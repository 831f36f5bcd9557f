"""The demo's consumers: one group per topic. Each member is a thread that spends as much time on a
record as its rate says."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kafka_client.demo.counters import Counters
from kafka_client.demo.scenario import Traffic
from kafka_client.error_map import from_confluent
from kafka_client.librdkafka import PARTITION_EOF, Properties, logger

if TYPE_CHECKING:
    from confluent_kafka import Consumer

POLL_S = 0.2
MEMBERS_MOST = 12
RESTART_S = 2.0
BEHIND_MOST_S = 1.0
"""A member that found nothing to read makes up for at most so much time, by reading faster."""


class DemoGroup:
    """One group. ``add`` and ``remove`` change the number of its members; ``paused`` stops their
    reading, and they stay members."""

    def __init__(self, base: Properties, traffic: Traffic, counters: Counters) -> None:
        self.paused = False
        self.traffic = traffic
        self._base, self._counters = base, counters
        self._members: list[_Member] = []
        self._last_number = 0

    @property
    def members(self) -> int:
        return len(self._members)

    def add(self) -> bool:
        """Start a member; False when there are MEMBERS_MOST."""
        if len(self._members) >= MEMBERS_MOST:
            return False
        self._last_number += 1
        self._members.append(_Member(self, self._base, self._last_number, self._counters))
        return True

    def remove(self) -> bool:
        """Stop the newest member; False when there is none."""
        if not self._members:
            return False
        self._members.pop().stopping.set()
        return True

    def stop(self, deadline_s: float) -> None:
        """Stop all members and wait for them, at most until ``deadline_s`` (time.monotonic)."""
        members, self._members = self._members, []
        for member in members:
            member.stopping.set()
        for member in members:
            member.thread.join(max(0.0, deadline_s - time.monotonic()))


class _Member:
    def __init__(self, group: DemoGroup, base: Properties, number: int, counters: Counters) -> None:
        self.stopping = threading.Event()
        self._group, self._counters = group, counters
        self._topic = group.traffic.topic
        self._rate_per_s = group.traffic.consumer_records_per_s
        self._properties: Properties = {
            **base,
            "client.id": f"{self._topic}-sender-{number}",
            "group.id": group.traffic.group,
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 1_000,
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 5_000,
            "allow.auto.create.topics": False,
            "queued.min.messages": 60,
            "max.partition.fetch.bytes": 8192,
        }
        self._is_paused = False
        name = self._properties["client.id"]
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        from confluent_kafka import Consumer, KafkaException

        while not self.stopping.is_set():
            try:
                consumer = Consumer(self._properties, logger=logger)
                consumer.subscribe([self._topic], on_assign=lambda *_: self._assigned())
                try:
                    self._consume(consumer)
                finally:
                    consumer.close()
            except KafkaException as error:
                self._failed(error.args[0].code(), error.args[0].str())
                self.stopping.wait(RESTART_S)

    def _assigned(self) -> None:
        self._is_paused = False  # librdkafka resumes the partitions of a new assignment

    def _consume(self, consumer: Consumer) -> None:
        """Read until ``stopping`` is set. Raises: KafkaException for an error that only a new
        consumer gets over."""
        from confluent_kafka import KafkaException

        due_s = time.monotonic()
        while not self.stopping.is_set():
            if self._group.paused != self._is_paused:
                self._is_paused = self._group.paused
                change = consumer.pause if self._is_paused else consumer.resume
                change(consumer.assignment())
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                if error.code() != PARTITION_EOF:
                    self._failed(error.code(), error.str())
                continue
            due_s = max(due_s, time.monotonic() - BEHIND_MOST_S) + 1.0 / self._rate_per_s
            if self.stopping.wait(max(0.0, due_s - time.monotonic())):
                return
            try:
                consumer.store_offsets(message=message)
            except KafkaException:
                continue  # a rebalance gave its partition to another member
            self._counters.consumed(self._topic)

    def _failed(self, code: int, text: str) -> None:
        self._counters.failed(str(from_confluent(code, text, f"read {self._topic}")))
