"""The demo's producer: every topic's records at its rate, times the multiplier, evenly enough and
never in a rush.

What could not be sent while brokers were away is not made up for afterwards.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from kafka_client.confluent_data import make_logger
from kafka_client.demo.report import Report
from kafka_client.demo.scenario import Inventor, Scenario
from kafka_client.error_map import from_confluent

STEP_S = 0.05
SWING_S = 60.0
SWING = 0.25
MOST_PER_STEP = 5000


class Producing:
    """A thread of its own from ``start`` to ``stop``."""

    def __init__(
        self, base: dict[str, Any], scenario: Scenario, report: Report, seed: int = 1
    ) -> None:
        self.rate = 1.0
        self.paused = False
        self._base, self._scenario, self._report = base, scenario, report
        self._inventor = Inventor(seed)
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
            logger=make_logger(self._report.log),
        )
        owed = dict.fromkeys((t.topic for t in self._scenario.traffic), 0.0)
        before = time.monotonic()
        while not self._stop.wait(STEP_S):
            now = time.monotonic()
            elapsed, before = min(now - before, 1.0), now
            for number, traffic in enumerate(self._scenario.traffic):
                swing = 1 + SWING * math.sin(2 * math.pi * (now / SWING_S + number / 3))
                owed[traffic.topic] += (
                    0.0 if self.paused else traffic.records_per_s * self.rate * swing * elapsed
                )
                count = min(int(owed[traffic.topic]), MOST_PER_STEP)
                owed[traffic.topic] -= int(owed[traffic.topic])
                for _ in range(count):
                    key, value = self._inventor.record(traffic, time.time())
                    try:
                        producer.produce(
                            traffic.topic, value=value, key=key, on_delivery=self._reported
                        )
                    except BufferError:
                        self._report.failed("The brokers take records more slowly than they come.")
                        break
            producer.poll(0)
        producer.flush(1.0)

    def _reported(self, error: Any, message: Any) -> None:
        if error is None:
            self._report.produced()
        else:
            self._report.failed(
                str(from_confluent(error.code(), error.str(), f"send to {message.topic()}"))
            )
