"""The demo's producer: sends the records of every topic at its rate, times a multiplier, in small
even steps.

Records that could not be sent while brokers were down are not sent later.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from kafka_client.demo.counters import Counters
from kafka_client.demo.scenario import RecordGenerator, Scenario, Traffic
from kafka_client.error_map import from_confluent
from kafka_client.librdkafka import Properties, logger

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

STEP_S = 0.05
SWING_S = 60.0
"""The rates swing around their means by SWING within this time, so that charts show a curve."""
SWING = 0.25
RECORDS_A_STEP_MOST = 5000
GAP_MOST_S = 1.0
"""After a longer gap (a laptop that slept) only so much is made up for."""


class DemoProducer:
    """A thread of its own from ``start`` to ``stop``. ``rate`` and ``paused`` may be set from any
    thread."""

    def __init__(
        self, base: Properties, scenario: Scenario, counters: Counters, seed: int = 1
    ) -> None:
        self.rate = 1.0
        self.paused = False
        self._base, self._scenario, self._counters = base, scenario, counters
        self._records = RecordGenerator(seed)
        self._due = dict.fromkeys((t.topic for t in scenario.traffic), 0.0)
        """Records that are due, by topic; the fraction stays for the next step."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-producer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        from confluent_kafka import Producer

        producer = Producer(
            {
                **self._base,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 30_000,
                "queue.buffering.max.messages": 20_000,
                "partitioner": "murmur2_random",
                "topic.metadata.refresh.interval.ms": 5_000,
            },
            logger=logger,
        )
        before_s = time.monotonic()
        while not self._stop.wait(STEP_S):
            now_s = time.monotonic()
            elapsed_s, before_s = min(now_s - before_s, GAP_MOST_S), now_s
            for index, traffic in enumerate(self._scenario.traffic):
                swing = 1 + SWING * math.sin(2 * math.pi * (now_s / SWING_S + index / 3))
                self._send_due(producer, traffic, swing * elapsed_s)
            producer.poll(0)
        producer.flush(1.0)

    def _send_due(self, producer: Producer, traffic: Traffic, elapsed_s: float) -> None:
        """Send what became due within ``elapsed_s``; what exceeds a step's limit is skipped."""
        if not self.paused:
            self._due[traffic.topic] += traffic.records_per_s * self.rate * elapsed_s
        count = int(self._due[traffic.topic])
        self._due[traffic.topic] -= count
        for _ in range(min(count, RECORDS_A_STEP_MOST)):
            key, value = self._records.record(traffic, time.time())
            try:
                producer.produce(traffic.topic, value=value, key=key, on_delivery=self._delivered)
            except BufferError:
                self._counters.failed("The brokers take records too slowly.")
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._counters.produced()
        else:
            doing = f"send to {message.topic()}"
            self._counters.failed(str(from_confluent(error.code(), error.str(), doing)))
