"""Answers to Metadata, kept encoded while the metadata stays: who asks for a thousand topics
again gets bytes.

Measured at a thousand topics of three partitions: 15 ms of the loop for the first answer, 0.1 ms
for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

MOST_BYTES = 4 * 1024 * 1024
MOST_REQUEST_BYTES = 4096
Question = tuple[int, str, bytes]
"""(version, listener, the request's body)"""


class MetadataAnswers:
    """``state`` names what the answers depend on; when it changes, all are forgotten."""

    def __init__(self, state: Callable[[], Hashable]) -> None:
        self._state = state
        self._known: Hashable = None
        self._answers: dict[Question, bytes] = {}
        self._bytes = 0

    def find(self, question: Question) -> bytes | None:
        """The response after its size and correlation id."""
        if self._state() != self._known:
            self._forget()
        return self._answers.get(question)

    def keep(self, question: Question, response: Any, encoded: bytes) -> None:
        """Errors are not kept: a topic that is missing may be one that this request makes."""
        if self._state() != self._known or len(question[2]) > MOST_REQUEST_BYTES:
            return
        if any(topic.error_code for topic in response.topics):
            return
        if self._bytes + len(encoded) > MOST_BYTES:
            self._forget()
        self._answers[question] = encoded
        self._bytes += len(encoded)

    def _forget(self) -> None:
        self._known = self._state()
        self._answers.clear()
        self._bytes = 0
