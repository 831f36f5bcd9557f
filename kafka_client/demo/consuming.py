"""The demo's consumers: one group per topic, each member a thread that takes as long for a record
as its rate says."""

from __future__ import annotations

import threading
import time
from typing import Any

from kafka_client.confluent_data import PARTITION_EOF, make_logger
from kafka_client.demo.report import Report
from kafka_client.demo.scenario import Traffic
from kafka_client.error_map import from_confluent

POLL_S = 0.2
MEMBERS_MOST = 12
RESTART_S = 2.0


class Consuming:
    """One group. ``add`` and ``remove`` change the number of its members; ``paused`` holds them
    all, still as members."""

    def __init__(self, base: dict[str, Any], traffic: Traffic, report: Report) -> None:
        self.paused = False
        self.traffic = traffic
        self._base, self._report = base, report
        self._members: list[_Member] = []
        self._numbers = 0

    @property
    def members(self) -> int:
        return len(self._members)

    def add(self) -> bool:
        if len(self._members) >= MEMBERS_MOST:
            return False
        self._numbers += 1
        self._members.append(_Member(self, self._base, self._numbers, self._report))
        return True

    def remove(self) -> bool:
        if not self._members:
            return False
        self._members.pop().stopping.set()
        return True

    def stop(self, deadline: float) -> None:
        members, self._members = self._members, []
        for member in members:
            member.stopping.set()
        for member in members:
            member.thread.join(max(0.0, deadline - time.monotonic()))


class _Member:
    def __init__(self, group: Consuming, base: dict[str, Any], number: int, report: Report) -> None:
        self.stopping = threading.Event()
        self._group, self._report = group, report
        self._rate_per_s = group.traffic.consumer_records_per_s
        self._properties = {
            **base,
            "client.id": f"{group.traffic.topic}-sender-{number}",
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
        self._held = False
        self.thread = threading.Thread(
            target=self._run, name=self._properties["client.id"], daemon=True
        )
        self.thread.start()

    def _run(self) -> None:
        from confluent_kafka import Consumer, KafkaException

        while not self.stopping.is_set():
            try:
                consumer = Consumer(self._properties, logger=make_logger(self._report.log))
                consumer.subscribe(
                    [self._group.traffic.topic], on_assign=lambda *_: self._assigned()
                )
                try:
                    self._consume(consumer)
                finally:
                    consumer.close()
            except KafkaException as error:
                code, text = error.args[0].code(), error.args[0].str()
                self._report.failed(
                    str(from_confluent(code, text, f"read {self._group.traffic.topic}"))
                )
                self.stopping.wait(RESTART_S)

    def _assigned(self) -> None:
        self._held = False

    def _consume(self, consumer: Any) -> None:
        """Until told to stop, or until an error that a new consumer may get over."""
        from confluent_kafka import KafkaException

        due = time.monotonic()
        while not self.stopping.is_set():
            if self._group.paused != self._held:
                assigned = consumer.assignment()
                (consumer.pause if self._group.paused else consumer.resume)(assigned)
                self._held = self._group.paused
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                if error.code() != PARTITION_EOF:
                    doing = f"read {self._group.traffic.topic}"
                    self._report.failed(str(from_confluent(error.code(), error.str(), doing)))
                continue
            due = max(due, time.monotonic() - 1.0) + 1.0 / self._rate_per_s
            if self.stopping.wait(max(0.0, due - time.monotonic())):
                return
            try:
                consumer.store_offsets(message=message)
            except KafkaException:
                continue  # its partition was given to another member meanwhile
            self._report.consumed(self._group.traffic.topic)
