"""Reading a log file with checksums: at a start, and on the first read of older batches."""

from __future__ import annotations

from collections.abc import Iterator

from embedded_broker.shell.storage.slices import LogFile
from kafka_protocol.records.batch import (
    HEADER_SIZE,
    BatchHeader,
    CorruptBatch,
    crc_matches,
    read_header,
)

READ_BYTES = 4 * 1024 * 1024


def follows(header: BatchHeader, expected: int, epoch: int) -> bool:
    """Return whether a batch may follow one that ends before offset ``expected`` (-1: any) and is
    of this leader epoch. The checksum covers neither number, but a log is dense (nothing compacts
    it) and its epochs only rise."""
    return (
        (expected < 0 or header.base_offset == expected)
        and header.last_offset >= header.base_offset
        and header.leader_epoch >= epoch
    )


def whole_batches(
    file: LogFile, start: int, size: int, read_bytes: int = READ_BYTES
) -> Iterator[BatchHeader | None]:
    """Yield the batches in ``file`` from position ``start`` that are complete, with valid
    checksums, as headers with their positions in the file.

    Ends at an incomplete batch, and with None at a complete one that is invalid; the file ends at
    ``size``, and is read in pieces of ``read_bytes``. Raises: LogDamaged.
    """
    position, data, data_start = start, b"", start
    while position < size:
        at = position - data_start
        if at + HEADER_SIZE > len(data):
            data = file.read(min(read_bytes, size - position), position)
            data_start, at = position, 0
            if len(data) < HEADER_SIZE:
                return
        try:
            header = read_header(data, at)
        except CorruptBatch:
            yield None
            return
        if header.size < HEADER_SIZE:
            yield None
            return
        if position + header.size > size:
            return
        if at + header.size > len(data):
            # The batch is longer than what was read: read again, from its start.
            data = file.read(max(header.size, min(read_bytes, size - position)), position)
            data_start, at = position, 0
            if len(data) < header.size:
                return
            header = header._replace(position=at)
        if not crc_matches(data, header):
            yield None
            return
        yield header._replace(position=position)
        position += header.size
