"""The metadata log on this node: appends, epochs, and how much of it is on disk.

Only flushed records count: in the leader's own contribution to the high watermark, and
in a follower's fetch offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from embedded_broker.core.metadata.records import LEADER_CHANGE_TYPE
from embedded_broker.core.metadata.topics import METADATA_TOPIC, METADATA_TOPIC_ID
from embedded_broker.core.ports import Disk, LogDamaged, PartitionLog, RecordSlice
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import CONTROL, BatchHeader, CorruptBatch, batches
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.record import all_records

LEADER_CHANGE_KEY = bytes((0, 0, 0, LEADER_CHANGE_TYPE))
"""A control record's key: version 0, type."""
READ_BYTES = 1 << 20


class MetadataLog:
    """Offsets are inclusive at the start, exclusive at the end. Methods raise
    StorageFailed when the disk does."""

    def __init__(self, disk: Disk) -> None:
        existing = [log for log in disk.logs() if log.topic == METADATA_TOPIC]
        self.log: PartitionLog = (
            existing[0] if existing else disk.create_log(METADATA_TOPIC, METADATA_TOPIC_ID, 0)
        )
        self.epochs: list[tuple[int, int]] = self.log.load_epochs()
        """(leader epoch, its start offset), ascending."""
        self.flushed_offset = 0
        """Records below it are certainly on disk. 0 until the first flush after a
        start: a killed process leaves the end of the log in the page cache."""
        self.truncations = 0
        """How often the log was truncated. A flush that began before a truncation says
        nothing about records appended after it."""

    @property
    def end_offset(self) -> int:
        """End of the log, flushed or not."""
        return self.log.log_end_offset

    @property
    def last_epoch(self) -> int:
        """The epoch of the last record; 0 when the log is empty."""
        return self.epochs[-1][0] if self.epochs else 0

    def end_offset_for(self, epoch: int) -> tuple[int, int]:
        """Return (e, end offset of e) for the largest epoch e at or below ``epoch``;
        (0, 0) when the log has none (KIP-101, KIP-279)."""
        end = self.end_offset
        for known, start in reversed(self.epochs):
            if known <= epoch:
                return known, end
            end = start
        return 0, 0

    def append_as_leader(self, values: Sequence[Buffer], epoch: int, wall_ms: int) -> int:
        """Append metadata records as one atomic batch; return the end offset after
        it."""
        return self._append_batch(
            [NewRecord(None, bytes(value), wall_ms) for value in values], epoch, wall_ms, 0
        )

    def append_leader_change(self, message: Buffer, epoch: int, wall_ms: int) -> int:
        """Append the control record that starts a leader's epoch; return the end offset
        after it."""
        return self._append_batch(
            [NewRecord(LEADER_CHANGE_KEY, bytes(message), wall_ms)], epoch, wall_ms, CONTROL
        )

    def _append_batch(
        self, records: list[NewRecord], epoch: int, wall_ms: int, attributes: int
    ) -> int:
        data = build(
            records, attributes=attributes, base_offset=self.end_offset, leader_epoch=epoch
        )
        self._append(data, list(batches(data, check_crc=False)), wall_ms)
        return self.end_offset

    def append_as_follower(self, data: Buffer, wall_ms: int) -> None:
        """Append the leader's batches byte for byte.

        Raises:
            CorruptBatch: damaged in transit; fetch again.
        """
        headers = list(batches(data))
        if headers:
            assert headers[0].base_offset == self.end_offset, (
                "the leader sent records from an offset that was not requested"
            )
            self._append(data, headers, wall_ms)

    def _append(self, data: Buffer, headers: list[BatchHeader], wall_ms: int) -> None:
        self.log.append(data, headers, wall_ms)
        known = len(self.epochs)
        for header in headers:
            if header.leader_epoch > self.last_epoch:
                self.epochs.append((header.leader_epoch, header.base_offset))
        if len(self.epochs) != known:
            self.log.save_epochs(self.epochs)

    def truncate(self, offset: int) -> None:
        """Remove the records at and after ``offset``."""
        self.log.truncate(offset)
        self.truncations += 1
        kept = [e for e in self.epochs if e[1] < self.end_offset]
        if len(kept) != len(self.epochs):
            self.epochs = kept
            self.log.save_epochs(kept)
        self.flushed_offset = min(self.flushed_offset, self.end_offset)

    def read(self, start_offset: int, max_bytes: int) -> RecordSlice:
        """Batches from ``start_offset``, at least one.

        Raises:
            LogDamaged: they are not what was written.
        """
        data = self.log.read(start_offset, max_bytes, self.end_offset, at_least_one=True)
        # The log is small, and a follower that is sent damaged batches cannot help itself.
        _end_of(data.tobytes(), start_offset)
        return data

    def values(self, start_offset: int, end_offset: int) -> tuple[Iterator[Buffer], int]:
        """Return the metadata records from ``start_offset``, about READ_BYTES at most, as they are
        encoded, and the offset after them.

        Raises:
            LogDamaged: they are not what was written.
        """
        data = self.log.read(start_offset, READ_BYTES, end_offset, at_least_one=True).tobytes()
        reached = _end_of(data, start_offset)
        assert reached > start_offset, f"the metadata log has no batch at {start_offset}"
        values = (record.value for record in all_records(data) if record.value is not None)
        return values, reached


def _end_of(data: Buffer, start_offset: int) -> int:
    """Return the offset after batches that were read from ``start_offset`` on.

    Raises:
        LogDamaged: they are not what was written.
    """
    reached = start_offset
    try:
        for header in batches(data):
            reached = header.next_offset
    except CorruptBatch as e:
        raise LogDamaged(f"{e}, after offset {start_offset}") from e
    return reached
