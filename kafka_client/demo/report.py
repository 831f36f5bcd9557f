"""What the demo's threads count, and the status line made of it."""

from __future__ import annotations

import threading
import time
from collections import Counter

from kafka_client.confluent_data import LogRing

ERROR_STAYS_S = 5.0


class Report:
    """Counted by the traffic's threads, read once a second by the main thread."""

    def __init__(self) -> None:
        self.log = LogRing()
        self._lock = threading.Lock()
        self._produced = 0
        self._consumed: Counter[str] = Counter()
        self._error = ""
        self._error_until = 0.0
        self._since = time.monotonic()

    def produced(self) -> None:
        with self._lock:
            self._produced += 1

    def consumed(self, topic: str, count: int = 1) -> None:
        with self._lock:
            self._consumed[topic] += count

    def failed(self, sentence: str) -> None:
        with self._lock:
            self._error, self._error_until = sentence, time.monotonic() + ERROR_STAYS_S

    def take(self) -> tuple[float, dict[str, float], str]:
        """(records produced per second, consumed per second by topic, error or "") since the last
        call."""
        with self._lock:
            now = time.monotonic()
            elapsed = max(0.001, now - self._since)
            produced = self._produced / elapsed
            consumed = {topic: count / elapsed for topic, count in self._consumed.items()}
            self._produced, self._since = 0, now
            self._consumed.clear()
            return produced, consumed, self._error if now < self._error_until else ""
