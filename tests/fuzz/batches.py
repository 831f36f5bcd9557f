"""Record batches whose checksums are right and whose headers or records lie."""

from __future__ import annotations

import random
import time
from functools import cache

from kafka_protocol.primitives import write_varint
from kafka_protocol.records.batch import CRC_START, HEADER, HEADER_SIZE, LOG_OVERHEAD, Codec
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.checksum import crc32c
from kafka_protocol.records.compression import compress

FIELDS = (
    "base_offset length epoch magic crc attributes delta first_ts max_ts pid pepoch sequence count"
).split()
LIES = {
    "base_offset": (1, -1, 2**63 - 1, -(2**63)),
    "length": (0, -1, 48, 49, 2**31 - 1, -(2**31)),
    "epoch": (0, 7, -(2**31), 2**31 - 1),
    "magic": (0, 1, 3, -1, 127),
    "attributes": (1, 2, 3, 4, 5, 7, 0x08, 0x10, 0x20, 0x30, 0x40, -1, 0x7FFF),
    "delta": (-1, 0, 1, 100, 2**31 - 1, -(2**31)),
    "first_ts": (-1, 0, 2**63 - 1, -(2**63)),
    "max_ts": (-1, 0, 1, 2**63 - 1, -(2**63)),
    "pid": (0, 1, 2**63 - 1, -2),
    "pepoch": (0, 1, 32_767, -2, -(2**15)),
    "sequence": (0, 1, 2**31 - 1, -2, -(2**31)),
    "count": (0, -1, 2, 100, 65_536, 2**31 - 1, -(2**31)),
}
BOMB_BYTES = 80 * 1024 * 1024
"""More than a batch may hold when it is decompressed."""


def honest(rng: random.Random, **fields: int) -> bytearray:
    """A valid batch of one to twenty records of any compression."""
    now_ms = time.time_ns() // 1_000_000
    count = rng.choice((1, 1, 2, 5, 20))
    new = [
        NewRecord(
            rng.choice((None, b"", b"key")),
            rng.choice((None, b"value", rng.randbytes(rng.choice((10, 1_000))))),
            now_ms + rng.choice((0, i, -i)),
            rng.choice(((), (("header", b"content"),), (("", None),))),
        )
        for i in range(count)
    ]
    return build(new, compression=rng.choice(list(Codec)), **fields)


def sealed(data: bytearray, **fields: int) -> bytearray:
    """Change header fields of a batch and make its checksum right again."""
    values = dict(zip(FIELDS, HEADER.unpack_from(data, 0), strict=True)) | fields
    HEADER.pack_into(data, 0, *values.values())
    data[17:21] = crc32c(memoryview(data)[CRC_START:]).to_bytes(4, "big")
    return data


def lying(rng: random.Random, **fields: int) -> bytes:
    """A batch, or a few, that must be refused, or taken in as what they are."""
    kind = rng.randrange(8)
    data = honest(rng, **fields)
    if kind <= 2:  # the header
        lies = {
            name: rng.choice(LIES[name]) for name in rng.sample(sorted(LIES), rng.choice((1, 2)))
        }
        return bytes(sealed(data, **lies))
    if kind == 3:  # the records, at any byte
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(HEADER_SIZE, len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        return bytes(sealed(data))
    if kind == 4:  # cut off, or followed by something, with the right length
        data = data[: rng.randrange(HEADER_SIZE, len(data) + 1)] + rng.randbytes(rng.choice((0, 9)))
        return bytes(sealed(data, length=len(data) - LOG_OVERHEAD))
    if kind == 5:  # several
        return bytes(data) + bytes(honest(rng))
    if kind == 6:
        return bomb() if rng.random() < 0.02 else packed(rng, _record(rng))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)  # the checksum is wrong
    return bytes(data)


def packed(rng: random.Random, body: bytes) -> bytes:
    """A batch of one record, as its header says, with this body."""
    codec = rng.choice(list(Codec))
    return _packed(codec, body if codec == Codec.NONE else compress(codec, body))


@cache
def bomb() -> bytes:
    """A batch of a few KiB that decompresses to BOMB_BYTES."""
    return _packed(Codec.ZSTD, compress(Codec.ZSTD, bytes(BOMB_BYTES)))


def _packed(codec: Codec, body: bytes) -> bytes:
    data = build([NewRecord(b"k", b"v", 1_700_000_000_000)])[:HEADER_SIZE] + body
    return bytes(sealed(data, length=len(data) - LOG_OVERHEAD, attributes=int(codec)))


def _record(rng: random.Random) -> bytes:
    """A record whose varints lie."""
    one = bytearray(1)
    write_varint(one, rng.choice((0, -1, 2**62, -(2**63))))  # the timestamp's delta
    write_varint(one, rng.choice((0, 1, -1, 2**31 - 1)))  # the offset's
    for _ in range(2):
        size = rng.choice((-1, 0, 1, -2, 5_000, 2**31 - 1, 2**62))
        write_varint(one, size)
        one += b"x" * min(max(size, 0), 3)
    write_varint(one, rng.choice((0, 1, -1, 1_000_000, 2**31 - 1)))
    body = bytearray()
    write_varint(body, len(one) + rng.choice((0, 0, 1, -1, 2**31)))
    return bytes(body + one)
