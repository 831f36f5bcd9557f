"""Counters of the demo's threads, for the status line."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

ERROR_SHOWN_S = 5.0
"""How long an error stays in the status."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Records per second since the last status, and the latest error or ""."""

    produced_per_s: float
    consumed_per_s: dict[str, float]
    """By topic."""
    error: str


class Counters:
    """Incremented by the threads that produce and consume, read once a second by the main one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._produced = 0
        self._consumed: Counter[str] = Counter()
        self._error = ""
        self._error_until_s = 0.0
        self._since_s = time.monotonic()

    def produced(self) -> None:
        with self._lock:
            self._produced += 1

    def consumed(self, topic: str) -> None:
        with self._lock:
            self._consumed[topic] += 1

    def failed(self, message: str) -> None:
        """Show this error in the status for the next ERROR_SHOWN_S."""
        with self._lock:
            self._error, self._error_until_s = message, time.monotonic() + ERROR_SHOWN_S

    def take_rates(self) -> Rates:
        """The rates since the last call; starts counting anew."""
        with self._lock:
            now = time.monotonic()
            elapsed_s = max(0.001, now - self._since_s)
            rates = Rates(
                self._produced / elapsed_s,
                {topic: count / elapsed_s for topic, count in self._consumed.items()},
                self._error if now < self._error_until_s else "",
            )
            self._produced, self._since_s = 0, now
            self._consumed.clear()
            return rates
