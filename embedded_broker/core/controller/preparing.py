"""Changes of many records, prepared in slices and proposed as one batch.

To judge a request for 5,000 partitions, build its records and encode them takes 60 ms: the node
handles heartbeats and other requests in between. What the judgement rests on may change meanwhile;
then it is made again, and the last time at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import TypeVar

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.records import MetadataRecord, encode_record
from kafka_protocol.fields import Buffer, Message

T = TypeVar("T")
Work = Generator[int, None, T]
"""Yields the work done since the last time, in items of some microseconds (``core.api.slices``)."""
Judged = tuple[Sequence[MetadataRecord], Message]
"""The records to append, and the response once they are committed."""
AT_ONCE = 250
"""Records between two yields."""
WHOLE_SLICE = 1 << 30
TRIES = 3


def prepare(
    controller: Controller,
    now_ms: int,
    event: RequestReceived,
    basis: Callable[[], Hashable],
    judge: Callable[[], Work[Judged]],
) -> Work[None]:
    """Judge a request and propose what it changes. ``basis`` returns what ``judge`` rests on."""
    for left in reversed(range(TRIES)):
        before = basis()
        preparing = _prepared(judge)
        if left:
            records, response, values = yield from preparing
            if len(records) > AT_ONCE:
                yield WHOLE_SLICE  # the append has a slice of its own
        else:
            records, response, values = at_once(preparing)
        if not left or basis() == before:
            break
    controller.reply(now_ms, event, records, response, values)


def at_once(work: Work[T]) -> T:
    """Do all of the work now, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def _prepared(
    judge: Callable[[], Work[Judged]],
) -> Work[tuple[Sequence[MetadataRecord], Message, list[Buffer]]]:
    records, response = yield from judge()
    values: list[Buffer] = []
    for record in records:
        values.append(encode_record(record))
        if len(values) % AT_ONCE == 0:
            yield AT_ONCE
    return records, response, values
