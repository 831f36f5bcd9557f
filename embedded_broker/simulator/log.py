"""One partition's log on a simulated disk: the PartitionLog port, and what a power cut leaves.

A power cut keeps what was flushed; of the rest a random subset of pages survives, of which recovery
keeps the batches up to the first that is torn. A truncation that was not flushed may be undone.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from uuid import UUID

from embedded_broker.core.log.epochs import checked_epochs
from embedded_broker.core.ports import LogDamaged, SegmentInfo
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import BatchHeader, read_header

Epochs = list[tuple[int, int]]
"""(leader epoch, its start offset), ascending."""
LOSES_EPOCHS = 0.2
"""Probability that an entry in a file of epochs is missing after a power cut."""
KEEPS_PAGE = 0.7
"""Probability that an unflushed batch survives a power cut, if those before it do."""


class Hardware(Protocol):
    """What a log needs of the disk that it is on."""

    on_append: Callable[[SimLog, BatchHeader, bytes], None] | None

    def check_write(self, log: SimLog, grows: int) -> None:
        """Raises: StorageFailed: the disk fails, or is full and ``grows`` is not 0."""

    def check_read(self, log: SimLog) -> None:
        """Raises: StorageFailed: the disk fails."""


class SimSlice:
    """Whole batches of a simulated log: the RecordSlice port of ``core.ports``."""

    __slots__ = ("_parts", "_size")

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self._size = sum(map(len, parts))

    def __len__(self) -> int:
        return self._size

    def tobytes(self) -> bytes:
        return b"".join(self._parts)


class SimLog:
    """One partition's log on a platter: the PartitionLog port of ``core.ports``.

    Batches are kept as header and bytes, oldest first. ``_durable`` and the marks of flushes count
    batches from the first that the log ever had, of which ``_trimmed`` are deleted at the front.
    Invariant: _trimmed <= _durable <= _trimmed + number of batches.
    """

    def __init__(self, platter: Hardware, topic: str, topic_id: UUID, partition: int) -> None:
        self.topic, self.topic_id, self.partition = topic, topic_id, partition
        self.lost_records, self.damage = False, ""
        self._platter = platter
        self.headers_: list[BatchHeader] = []
        self.bytes_: list[bytes] = []
        self._last_offsets: list[int] = []
        self._start = self._durable_start = 0
        self._end = 0
        self._segments: list[tuple[int, int]] = [(0, 0)]
        """(base offset, wall clock of its first append), oldest first."""
        self._segment_bytes, self._segment_ms = 1 << 30, 7 * 86_400_000
        self._active_bytes = 0
        self._size = 0
        self._epochs: Epochs = []
        self._durable_epochs: Epochs = []
        self._producers: dict[int, bytes] = {}
        """Snapshots by offset. Not flushed, and bound to the log by what is in them: those of
        batches that were lost stay."""
        self._trimmed = 0
        self._durable = 0
        """Batches that a power cut keeps."""
        self._ghosts: list[tuple[BatchHeader, bytes]] = []
        """Durable batches that a truncation removed. A power cut may bring them back until a flush
        has made the truncation durable."""
        self._marks: dict[int, int] = {}
        """By flush in progress: the batches that it makes durable."""
        self._next_mark = 0
        self.rotten: set[int] = set()
        """Last offsets of the batches of which a bit has changed on the disk."""

    # ---- the port of the core ------------------------------------------------------------------
    @property
    def log_start_offset(self) -> int:
        return self._start

    @property
    def log_end_offset(self) -> int:
        return self._end

    @property
    def size_bytes(self) -> int:
        return self._size

    def append(self, records: Buffer, headers: Sequence[BatchHeader], now_ms: int) -> None:
        self._platter.check_write(self, len(records))
        view = memoryview(records)
        for given in headers:
            # Parse the bytes again: they, not the caller's headers, are what a disk would keep.
            data = bytes(view[given.position : given.position + given.size])
            header = read_header(data)
            assert header.size == len(data), "the append has an incomplete batch"
            assert (
                header.base_offset == given.base_offset
                and header.leader_epoch == given.leader_epoch
            ), (
                f"header {given.base_offset}@{given.leader_epoch}, "
                f"bytes {header.base_offset}@{header.leader_epoch}"
            )
            assert header.base_offset >= self._end, (
                f"append of {header.base_offset} to a log that ends at {self._end}"
            )
            _, began = self._segments[-1]
            full = self._active_bytes + len(data) > self._segment_bytes
            if self._active_bytes and (full or now_ms - began > self._segment_ms):
                self.roll()
            if not self._active_bytes:
                self._segments[-1] = (self._segments[-1][0], now_ms)
            self._push(header, data)
            if self._platter.on_append is not None:
                self._platter.on_append(self, header, data)

    def _push(self, header: BatchHeader, data: bytes) -> None:
        self.headers_.append(header)
        self.bytes_.append(data)
        self._last_offsets.append(header.last_offset)
        self._end = header.last_offset + 1
        self._active_bytes += len(data)
        self._size += len(data)

    def read(
        self, start_offset: int, max_bytes: int, end_offset: int, at_least_one: bool
    ) -> SimSlice:
        assert self._start <= start_offset <= self._end, (
            f"read at {start_offset} of [{self._start}, {self._end})"
        )
        self._platter.check_read(self)
        parts: list[bytes] = []
        size = 0
        for i in range(bisect_left(self._last_offsets, start_offset), len(self.bytes_)):
            if self._last_offsets[i] >= end_offset:
                break
            data = self.bytes_[i]
            if size + len(data) > max_bytes and not (at_least_one and not parts):
                break
            if self._last_offsets[i] in self.rotten:
                if parts:
                    break
                self.damage = f"the batch with offset {self._last_offsets[i]} is not whole"
                raise LogDamaged(f"{self.topic}-{self.partition}: {self.damage}")
            parts.append(data)
            size += len(data)
        return SimSlice(parts)

    def headers(self, start_offset: int) -> Iterator[BatchHeader]:
        return iter(self.headers_[bisect_left(self._last_offsets, start_offset) :])

    def truncate(self, offset: int) -> None:
        self._platter.check_write(self, 0)
        keep = bisect_left(self._last_offsets, offset)
        if keep == len(self.headers_):
            self._end = min(self._end, max(offset, self._start))
            return
        durable_here = max(0, self._durable - self._trimmed)
        if keep < durable_here:  # durable batches are cut off: until a flush they may return
            self._ghosts = (
                list(zip(self.headers_, self.bytes_, strict=True))[keep:durable_here] + self._ghosts
            )
        self._clip(self._trimmed + keep)
        end = min(offset, self.headers_[keep].base_offset)
        self._cut_tail(keep, max(end, self._start))

    def _cut_tail(self, keep: int, end: int) -> None:
        """Remove the batches from index ``keep`` on; the log then ends at ``end``."""
        self._size -= sum(map(len, self.bytes_[keep:]))
        del self.headers_[keep:], self.bytes_[keep:], self._last_offsets[keep:]
        self._end = end
        self.rotten = {offset for offset in self.rotten if offset < end}
        while len(self._segments) > 1 and self._segments[-1][0] >= end:
            self._segments.pop()
        base = self._segments[-1][0]
        self._active_bytes = sum(h.size for h in self.headers_ if h.base_offset >= base)

    def _clip(self, absolute: int) -> None:
        """Limit ``_durable`` and the marks to the first ``absolute`` batches."""
        self._durable = min(self._durable, absolute)
        self._marks = {mark: min(count, absolute) for mark, count in self._marks.items()}

    def reset(self, offset: int) -> None:
        self._platter.check_write(self, 0)
        self._clip(self._trimmed)
        self._ghosts = []
        self._cut_tail(0, offset)
        self._start = self._durable_start = offset
        self._segments = [(offset, 0)]
        self._active_bytes = 0

    def advance_start(self, offset: int) -> None:
        assert offset <= self._end, f"log start {offset} past its end {self._end}"
        if offset <= self._start:
            return
        self._start = offset
        while len(self._segments) > 1 and self._segments[1][0] <= offset:
            self._segments.pop(0)
        drop = bisect_left(self._last_offsets, min(self._segments[0][0], offset))
        self._size -= sum(map(len, self.bytes_[:drop]))
        del self.headers_[:drop], self.bytes_[:drop], self._last_offsets[:drop]
        self._trimmed += drop
        self._durable = max(self._durable, self._trimmed)

    def segments(self) -> Sequence[SegmentInfo]:
        found = []
        for i, (base, _) in enumerate(self._segments):
            low = bisect_left(self._last_offsets, base)
            high = len(self.headers_)
            if i + 1 < len(self._segments):
                high = bisect_left(self._last_offsets, self._segments[i + 1][0])
            stamps = [h.max_timestamp for h in self.headers_[low:high]]
            size = sum(map(len, self.bytes_[low:high]))
            newest = max(stamps, default=-1)
            found.append(SegmentInfo(base, size, newest, newest))
        return found

    def roll(self) -> None:
        if self._active_bytes:
            self._segments.append((self._end, 0))
            self._active_bytes = 0

    def configure(self, segment_bytes: int, segment_ms: int, index_interval_bytes: int) -> None:
        self._segment_bytes, self._segment_ms = segment_bytes, segment_ms

    def batch_at_time(self, timestamp: int, start_offset: int, end_offset: int) -> bytes | None:
        for header, data in zip(self.headers_, self.bytes_, strict=True):
            if header.base_offset >= end_offset:
                return None
            if header.last_offset >= start_offset and header.max_timestamp >= timestamp:
                return data
        return None

    def batch_of_max_timestamp(self, end_offset: int) -> bytes | None:
        found = [
            (-header.max_timestamp, header.base_offset, data)
            for header, data in zip(self.headers_, self.bytes_, strict=True)
            if self._start <= header.last_offset and header.base_offset < end_offset
        ]
        return min(found)[2] if found and min(found)[0] <= 0 else None

    def load_producers(self) -> list[tuple[int, bytes]]:
        return [
            (at, self._producers[at])
            for at in sorted(self._producers, reverse=True)
            if at <= self._end
        ]

    def save_producers(self, offset: int, snapshot: bytes) -> None:
        self._platter.check_write(self, len(snapshot))
        self._producers[offset] = snapshot
        for old in sorted(self._producers)[:-4]:
            del self._producers[old]

    def load_epochs(self) -> Epochs:
        return checked_epochs(self, self._epochs)

    def save_epochs(self, entries: Sequence[tuple[int, int]]) -> None:
        self._platter.check_write(self, 1)
        self._epochs = list(entries)

    # ---- flushes and faults --------------------------------------------------------------------
    def begin_flush(self) -> int:
        """Return a mark of the present content, which ``end_flush`` of it makes durable."""
        self._next_mark += 1
        self._marks[self._next_mark] = self._trimmed + len(self.headers_)
        return self._next_mark

    def end_flush(self, mark: int) -> None:
        """Make durable what was there at the mark, and small files and truncations with it."""
        count = self._marks.pop(mark)
        if count >= self._durable:
            self._ghosts = []
        self._durable = max(self._durable, count)
        self._durable_epochs = list(self._epochs)
        self._durable_start = self._start

    def make_durable(self) -> None:
        """Flush everything at once."""
        self.end_flush(self.begin_flush())

    def lose_power(self, rng: random.Random) -> int:
        """Keep what a power cut leaves, as recovery would find it; returns the number of lost
        batches."""
        before = len(self.headers_)
        durable = max(0, self._durable - self._trimmed)
        # Either the truncation that is not durable is undone, in part or whole, or the unflushed
        # end is lost from a random batch on.
        if self._ghosts and before == durable and rng.random() < 0.5:
            for header, data in self._ghosts[: rng.randint(0, len(self._ghosts))]:
                if header.base_offset >= self._end:
                    self._push(header, data)
        else:
            keep = durable
            while keep < before and rng.random() < KEEPS_PAGE:
                keep += 1
            if keep < before:
                self._cut_tail(
                    keep,
                    max(self._start, self._last_offsets[keep - 1] + 1 if keep else self._base()),
                )
        if rng.random() < 0.5:
            self._epochs = list(self._durable_epochs)
        if rng.random() < 0.5:
            self._start = max(self._durable_start, self._base())
        # Recovery leaves no hole between the log start and the batches: the log ends with them.
        self._end = max(
            self._start, self._last_offsets[-1] + 1 if self._last_offsets else self._start
        )
        self.recover(rng)
        self._ghosts = []
        self._marks.clear()
        self.make_durable()
        return max(0, before - len(self.headers_))

    def _base(self) -> int:
        return self.headers_[0].base_offset if self.headers_ else self._start

    def recover(self, rng: random.Random) -> None:
        """Lose parts of the file of epochs, which ``load_epochs`` compares with the batches."""
        # An entry at the end itself is an epoch without a batch: it may be kept or not.
        end = self._end + rng.randint(0, 1)
        self._epochs = [(e, s) for e, s in self._epochs if s < end]
        if rng.random() < LOSES_EPOCHS and self._epochs:
            del self._epochs[rng.randrange(len(self._epochs))]

    def forget_process(self) -> None:
        """Drop the flushes of a process that has ended, and what it knew of the log."""
        self._marks.clear()
        self.damage = ""

    def rot(self, copies: list[SimLog], pick: int) -> bool:
        """Change a bit of a batch that all of the other ``copies`` have whole, and whose pages the
        system has written back there; return whether there is such a batch."""
        if self.rotten or not copies or any(copy.rotten for copy in copies):
            return False
        common = set(self._last_offsets).intersection(*(copy._last_offsets for copy in copies))
        if not common:
            return False
        offset = sorted(common)[pick % len(common)]
        for copy in copies:
            written = copy._trimmed + bisect_right(copy._last_offsets, offset)
            copy._durable = max(copy._durable, written)
        self.rotten.add(offset)
        return True

    def find(self, offset: int) -> BatchHeader | None:
        """Return the batch with this offset, or None."""
        i = bisect_left(self._last_offsets, offset)
        return (
            self.headers_[i]
            if i < len(self.headers_) and self.headers_[i].base_offset <= offset
            else None
        )

    def between(self, start: int, end: int) -> Iterator[tuple[BatchHeader, bytes]]:
        """Yield header and bytes of the batches that are entirely in [start, end)."""
        low, high = (
            bisect_left(self._last_offsets, start),
            bisect_right(self._last_offsets, end - 1),
        )
        return zip(self.headers_[low:high], self.bytes_[low:high], strict=True)
