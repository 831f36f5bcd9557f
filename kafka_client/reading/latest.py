"""The latest N that match, exactly: windows of offsets are read backward from the ends, each
round only where a newer match may still hide, and a record is handed out once nothing unread can
be newer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from kafka_client.api import ClusterClient
from kafka_client.errors import TimedOut
from kafka_client.model import Record, TopicPartition
from kafka_client.reading.plan import Range

WINDOW_MIN, WINDOW_MAX = 64, 50_000
BATCH = 2000
WAIT_S = 0.1
SILENT_S = 30.0


class Counting(Protocol):
    """``scan.Tally`` as far as it is needed here."""

    passed_offsets: int
    enough: bool
    waiting_for: str

    def look(self, record: Record) -> bool: ...
    async def give(self, records: Sequence[Record]) -> None: ...
    def tell(self, force: bool = False) -> None: ...


async def read_latest(
    client: ClusterClient, wanted: int, ranges: Mapping[TopicPartition, Range], tally: Counting
) -> None:
    """Newest first, at most ``wanted``. Raises: ClientError."""
    unread = {tp: r for tp, r in ranges.items() if r.span}
    oldest: dict[TopicPartition, int] = {}  # the earliest time seen in each partition
    waiting: list[Record] = []
    given = 0
    window = max(WINDOW_MIN, -(-wanted // max(1, len(unread))))
    while unread and given < wanted and not tally.enough:
        windows = {tp: Range(max(r.start, r.end - window), r.end) for tp, r in unread.items()}
        found = await _read_windows(client, windows, tally, oldest)
        waiting = sorted(waiting + found, key=_age)[: wanted - given]
        for tp, part in windows.items():
            if part.start <= ranges[tp].start:
                del unread[tp]
            else:
                unread[tp] = Range(unread[tp].start, part.start)
        given += await _settle(waiting, unread, oldest, tally)
        if (
            given + len(waiting) >= wanted and waiting
        ):  # only who may hold something newer than the last of them
            last = waiting[-1].timestamp_ms
            unread = {tp: r for tp, r in unread.items() if oldest.get(tp, last + 1) > last}
            given += await _settle(waiting, unread, oldest, tally)
        window = min(WINDOW_MAX, window * 4)
    await tally.give(waiting[: wanted - given])


def _age(record: Record) -> tuple[int, int, int]:
    return (-record.timestamp_ms, -record.offset, record.partition)


async def _settle(
    waiting: list[Record],
    unread: Mapping[TopicPartition, Range],
    oldest: Mapping[TopicPartition, int],
    tally: Counting,
) -> int:
    """Give those (and take them off the list) that are no older than what is unread can be."""
    mark = max((oldest.get(tp, 1 << 62) for tp in unread), default=-(1 << 62))
    sure = 0
    while sure < len(waiting) and waiting[sure].timestamp_ms >= mark:
        sure += 1
    await tally.give(waiting[:sure])
    del waiting[:sure]
    return sure


async def _read_windows(
    client: ClusterClient,
    windows: Mapping[TopicPartition, Range],
    tally: Counting,
    oldest: dict[TopicPartition, int],
) -> list[Record]:
    """Everything in these windows that matches."""
    found: list[Record] = []
    left = dict(windows)
    at = {tp: r.start for tp, r in windows.items()}
    reader = await client.open_reader(at, 20_000)
    moved_s = time.monotonic()
    try:
        while left:
            records = await reader.next(BATCH, WAIT_S)
            for record in records:
                tp = (record.topic, record.partition)
                if tp not in left or record.offset >= left[tp].end:
                    continue
                oldest[tp] = min(oldest.get(tp, record.timestamp_ms), record.timestamp_ms)
                if tally.look(record):
                    found.append(record)
            ended = []
            for tp, position in reader.positions().items():
                if tp in left and position > at[tp]:
                    tally.passed_offsets += min(position, left[tp].end) - min(at[tp], left[tp].end)
                    at[tp], moved_s = position, time.monotonic()
                    if position >= left[tp].end:
                        ended.append(tp)
                        del left[tp]
            if ended:
                reader.pause(ended)
            silent = time.monotonic() - moved_s
            tally.waiting_for = (
                ", ".join(str(p) for _, p in sorted(left)[:5]) if silent > 3.0 else ""
            )
            if silent > SILENT_S:
                raise TimedOut(
                    f"Partition {tally.waiting_for} did not answer for {SILENT_S:.0f} s.",
                    next_step="Choose the other partitions, or try again when its leader is back.",
                )
            tally.tell()
    finally:
        await reader.close()
    return found
