"""Inspects the batches of Produce requests, before the core decides about them.

A request with few records is inspected at once. One with more, or with much to decompress,
waits in its connection, as do the requests behind it, and is inspected in slices between
the events of the loop; only decompression has a thread. One request at a time, so that
what they take in memory is bounded: the connections wait in line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from embedded_broker.shell.loop import Loop
from embedded_broker.shell.worker import Worker
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.records.compression import TooLarge
from kafka_protocol.records.inspection import Inspection, Outcome, Refusal

RECORDS_AT_ONCE = 4_000
"""Records that are inspected without giving the loop back: two to four milliseconds."""
COMPRESSED_AT_ONCE = 1024 * 1024
"""Compressed bytes of a request that are decompressed in the loop, which is faster than to hand
them to the thread and back."""
UNPACKED_AT_ONCE = 2 * 1024 * 1024
"""Bytes to which they may be decompressed there: two milliseconds, twelve for gzip."""


class Client(Protocol):
    """Declares what the inspector needs of a connection."""

    closed: bool


class Inspector:
    """Used in the thread of the event loop."""

    def __init__(
        self, loop: Loop, resume: Callable[[Any], None], warn: Callable[[str], None]
    ) -> None:
        """``resume`` lets a connection offer its waiting request again."""
        self._loop = loop
        self._resume = resume
        self._warn = warn
        self._worker = Worker(loop)
        self.is_enabled: Callable[[], bool] = lambda: True
        self._client: Client | None = None
        """The connection whose request is inspected."""
        self._inspections: list[Inspection] = []
        self._position = 0
        """The number of the inspection that goes on next."""
        self._line: dict[Client, None] = {}
        """The connections whose requests wait for that, in order."""
        self._outcomes: dict[Client, list[Outcome]] = {}

    def waits(self, client: Client) -> bool:
        """Return whether the next request of this connection cannot be taken yet."""
        return client is self._client or client in self._line

    def outcomes(self, client: Client, request: ProduceRequest) -> Sequence[Outcome] | None:
        """Return what the inspections of the request's batches found, or None when it has to wait:
        then offer the same request again when ``resume`` says so."""
        finished = self._outcomes.pop(client, None)
        if finished is not None:
            return finished
        if not self.is_enabled():
            return ()
        inspections = [
            Inspection(partition.records)
            for topic in request.topic_data
            for partition in topic.partition_data
        ]
        if _are_light(inspections):
            try:
                return _inspect_now(inspections)
            except TooLarge:
                inspections = [Inspection(inspection.records) for inspection in inspections]
        if self._client is None:
            self._begin(client, inspections)
        else:
            self._line[client] = None
        return None

    def forget(self, client: Client) -> None:
        """The connection is closed."""
        self._line.pop(client, None)
        self._outcomes.pop(client, None)

    def _begin(self, client: Client, inspections: list[Inspection]) -> None:
        self._client = client
        for inspection in inspections:
            inspection.detach()
        self._inspections = inspections
        self._position = 0
        self._loop.soon(self._go_on)

    def _go_on(self) -> None:
        client = self._client
        assert client is not None
        if client.closed or self._position == len(self._inspections):
            self._finish(client)
            return
        inspection = self._inspections[self._position]
        if not inspection.is_unpacked:
            if inspection.is_compressed:
                self._worker.run(inspection.unpack, self._unpacked)
                return
            inspection.unpack()
        if inspection.advance(RECORDS_AT_ONCE):
            self._position += 1
        self._loop.soon(self._go_on)

    def _unpacked(self, error: Exception | None) -> None:
        if error is not None:
            self._warn(f"cannot decompress a batch: {type(error).__name__}: {error}")
            self._inspections[self._position].outcome = Refusal(
                ErrorCode.UNKNOWN_SERVER_ERROR, "the broker cannot decompress the batch"
            )
            self._position += 1
        self._go_on()

    def _finish(self, client: Client) -> None:
        outcomes = [inspection.outcome for inspection in self._inspections]
        self._inspections = []
        self._client = None
        if not client.closed:
            self._outcomes[client] = outcomes
            self._resume(client)
        # The first that offers its request is next, and the others stand in line again: one
        # that cannot offer it, because it does not read its responses, must not hold them up.
        line, self._line = self._line, {}
        for waiting in line:
            self._resume(waiting)

    def close(self) -> None:
        """End the thread."""
        self._worker.close()


def _are_light(inspections: list[Inspection]) -> bool:
    """Return whether these batches take a few milliseconds, unless they decompress to much."""
    records = compressed = 0
    for inspection in inspections:
        records += inspection.record_count
        if inspection.is_compressed:
            compressed += inspection.size
    return records <= RECORDS_AT_ONCE and compressed <= COMPRESSED_AT_ONCE


def _inspect_now(inspections: list[Inspection]) -> list[Outcome]:
    """Raises: TooLarge"""
    left = UNPACKED_AT_ONCE
    for inspection in inspections:
        if inspection.is_compressed:
            left -= inspection.unpack(left)
        else:
            inspection.unpack()
        inspection.advance()
    return [inspection.outcome for inspection in inspections]
