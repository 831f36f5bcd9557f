"""Look at every record of a client's batch, to refuse one that lies before it is stored.

``inspect`` does it at once. A broker does it in steps where a batch is large, beside the loop
that serves the other clients. What the outcome means for a topic, the broker's core decides.
"""

from __future__ import annotations

from typing import NamedTuple

from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import (
    COMPRESSION_MASK,
    HEADER_SIZE,
    BatchHeader,
    Codec,
    CorruptBatch,
    crc_matches,
    read_header,
)
from kafka_protocol.records.compression import MAX_BYTES, CannotDecompress, TooLarge, decompress
from kafka_protocol.records.contents import Contents, Walk
from kafka_protocol.records.record import InvalidRecord

ALL = 1 << 31
"""More records than a batch can count."""


class Refusal(NamedTuple):
    """Why the contents of a batch are refused, on every topic."""

    code: int
    text: str


Outcome = Contents | Refusal | None
"""None: the header alone refuses the batch."""


class Inspection:
    """The contents of one batch, in steps: ``unpack``, which may run in another thread, then
    ``advance`` until it returns True, then ``outcome``."""

    def __init__(self, records: Buffer | None) -> None:
        self.outcome: Outcome = None
        self.records: Buffer = b"" if records is None else records
        self.is_unpacked = False
        self._walk: Walk | None = None
        self._header: BatchHeader | None = None
        try:
            header = read_header(self.records)
        except CorruptBatch:
            return
        if (
            HEADER_SIZE <= header.size == len(self.records)
            and header.record_count > 0
            and header.attributes & COMPRESSION_MASK <= Codec.ZSTD
        ):
            self._header = header

    @property
    def record_count(self) -> int:
        """How many records ``advance`` will check, as the header counts them."""
        return 0 if self._header is None else self._header.record_count

    @property
    def is_compressed(self) -> bool:
        """Return whether ``unpack`` has to decompress."""
        return self._header is not None and self._header.compression != Codec.NONE

    @property
    def size(self) -> int:
        """Bytes of the batch."""
        return len(self.records)

    def detach(self) -> None:
        """Copy the batch: its buffer will be used for other data before the end."""
        self.records = bytes(self.records)

    def unpack(self, max_bytes: int = MAX_BYTES) -> int:
        """Check the checksum, then decompress the records; return how many bytes they take.

        Raises:
            TooLarge: they take more than ``max_bytes``, which is below MAX_BYTES.
        """
        self.is_unpacked = True
        header = self._header
        if header is None:
            return 0
        if not crc_matches(self.records, header):
            self._refuse(ErrorCode.CORRUPT_MESSAGE, "the batch's checksum is wrong")
            return 0
        try:
            body = decompress(header.compression, memoryview(self.records)[HEADER_SIZE:], max_bytes)
            self._walk = Walk(body, header)
            return len(body)
        except TooLarge as e:
            if max_bytes < MAX_BYTES:
                raise
            self._refuse(ErrorCode.INVALID_RECORD, str(e))
        except (CannotDecompress, InvalidRecord) as e:
            self._refuse(ErrorCode.INVALID_RECORD, str(e))
        return 0

    def advance(self, records: int = ALL) -> bool:
        """Check up to ``records`` more records; return whether ``outcome`` is there."""
        if self._walk is None:
            return True
        try:
            if not self._walk.advance(records):
                return False
            self.outcome = self._walk.contents()
        except InvalidRecord as e:
            self._refuse(ErrorCode.INVALID_RECORD, str(e))
        self._walk = None
        return True

    def _refuse(self, code: ErrorCode, text: str) -> None:
        self.outcome = Refusal(code, text)


def inspect(records: Buffer | None) -> Outcome:
    """Return what a batch holds, or why it is refused; takes about a microsecond a record."""
    inspection = Inspection(records)
    inspection.unpack()
    inspection.advance()
    return inspection.outcome
