"""Reads the latest N records that match, exactly.

Windows of offsets are read backwards from the ends, in each round only of partitions where a newer
match may still be; a record is emitted once nothing unread can be newer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from kafka_client.api import ClusterReader
from kafka_client.errors import TimedOut
from kafka_client.model import Record, TopicPartition
from kafka_client.reading.plan import Range
from kafka_client.reading.progress import ScanCounter
from resources.wording import numbered

WINDOW_LEAST, WINDOW_MOST = 64, 50_000
"""Offsets that one round reads of a partition; each round reads four times as many."""
BATCH = 2000
WAIT_S = 0.1
READ_AHEAD = 20_000
SLOW_S = 3.0
"""After so long without progress the partitions are reported as slow."""
SILENT_S = 30.0
"""After so long without progress the scan fails."""

Oldest = dict[TopicPartition, int]
"""The earliest timestamp in ms that was read of each partition."""


async def read_latest(
    client: ClusterReader,
    wanted: int,
    ranges: Mapping[TopicPartition, Range],
    counter: ScanCounter,
) -> None:
    """Emit at most ``wanted`` matching records, newest first. Raises: ClientError."""
    unread = {tp: r for tp, r in ranges.items() if r.span}
    oldest: Oldest = {}
    waiting: list[Record] = []  # matches, newest first, that an unread record may precede
    emitted = 0
    window = max(WINDOW_LEAST, -(-wanted // max(1, len(unread))))
    while unread and emitted < wanted and not counter.enough:
        windows = {tp: Range(max(r.start, r.end - window), r.end) for tp, r in unread.items()}
        matches = await _read_windows(client, windows, counter, oldest)
        waiting = sorted(waiting + matches, key=_newest_first)[: wanted - emitted]
        for tp, part in windows.items():
            if part.start <= ranges[tp].start:
                del unread[tp]
            else:
                unread[tp] = Range(unread[tp].start, part.start)
        emitted += await _emit_certain(waiting, unread, oldest, counter)
        if emitted + len(waiting) >= wanted and waiting:
            # Enough matches: go on only where an unread record may be newer than the last of them.
            last_ms = waiting[-1].order_ms
            unread = {tp: r for tp, r in unread.items() if oldest.get(tp, last_ms + 1) > last_ms}
            emitted += await _emit_certain(waiting, unread, oldest, counter)
        window = min(WINDOW_MOST, window * 4)
    await counter.take(waiting[: wanted - emitted])


def _newest_first(record: Record) -> tuple[int, int, int]:
    return (-record.order_ms, -record.offset, record.partition)


async def _emit_certain(
    waiting: list[Record],
    unread: Mapping[TopicPartition, Range],
    oldest: Oldest,
    counter: ScanCounter,
) -> int:
    """Emit, and remove from ``waiting``, the records that no unread record can precede: those no
    older than the oldest record read of each partition that is not read to its start. Returns how
    many."""
    mark = max((oldest.get(tp, 1 << 62) for tp in unread), default=-(1 << 62))
    certain = 0
    while certain < len(waiting) and waiting[certain].order_ms >= mark:
        certain += 1
    await counter.take(waiting[:certain])
    del waiting[:certain]
    return certain


async def _read_windows(
    client: ClusterReader,
    windows: Mapping[TopicPartition, Range],
    counter: ScanCounter,
    oldest: Oldest,
) -> list[Record]:
    """Read these windows whole; return the records that match and update ``oldest``."""
    matches: list[Record] = []
    left = dict(windows)
    positions = {tp: r.start for tp, r in windows.items()}
    reader = await client.open_reader(positions, READ_AHEAD)
    progress_s = time.monotonic()
    try:
        while left:
            for record in await reader.next(BATCH, WAIT_S):
                tp = (record.topic, record.partition)
                if tp not in left or record.offset >= left[tp].end:
                    continue
                record = record.before(left[tp].end)
                if record.unreadable is None:
                    oldest[tp] = min(oldest.get(tp, record.timestamp_ms), record.timestamp_ms)
                if counter.count(record):
                    matches.append(record)
            ended = []
            for tp, position in reader.positions().items():
                if tp not in left or position <= positions[tp]:
                    continue
                end = left[tp].end
                counter.passed_offsets += min(position, end) - min(positions[tp], end)
                positions[tp], progress_s = position, time.monotonic()
                if position >= end:
                    ended.append(tp)
                    del left[tp]
            if ended:
                reader.pause(ended)
            _check_progress(counter, left, time.monotonic() - progress_s)
            counter.report_progress()
    finally:
        await reader.close()
    return matches


def _check_progress(
    counter: ScanCounter, left: Mapping[TopicPartition, Range], silent_s: float
) -> None:
    """Report partitions without progress as slow. Raises: TimedOut after SILENT_S."""
    counter.wait_for(left if silent_s > SLOW_S else ())
    if silent_s > SILENT_S:
        partitions = numbered("Partition", counter.waiting_for)
        raise TimedOut(
            f"{partitions} did not answer for {SILENT_S:.0f} s.",
            next_step="Choose the other partitions, or try again when its leader is back.",
        )
