"""Bytes that lie, made from bytes that are well-formed: one corpus for the codec, for
the client (as responses) and for the broker (as requests)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from kafka_protocol import codec
from tests.unit.kafka_protocol.samples import some_message

BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)
INT32S = (b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")
VARINTS = (
    b"\xff\xff\xff\xff\x0f",  # the largest
    b"\xff\xff\xff\xff\x7f",  # larger than 32 bits
    b"\x80\x80\x80\x80\x00",  # 0 in five bytes
    b"\x80\x80\x80\x80\x80\x80",  # without an end
    b"\xff\xff\x7f",  # two million
)
TAGS = (
    b"\xff\xff\xff\xff\x0f",  # four billion tagged fields
    b"\x80\x10" + b"\x00\x00" * 2048,  # more than a structure may have
    b"\x01\x00\xff\xff\xff\xff\x0f",  # one that is longer than the message
    b"\x01\x00\x01\xff",  # one whose value is cut by its own length
    b"\x02\x00\x01\x01\x00\x01\x01",  # the same twice
)


def corpus(cls: Any, version: int, seed: int, positions: int = 24) -> Iterator[bytes]:
    """Well-formed bytes of a message, cut, changed and blown up at about so many
    places."""
    rng = random.Random(seed)
    good = bytes(codec.encode(some_message(rng, cls, version), version))
    places = sorted(rng.sample(range(len(good)), min(positions, len(good))))
    for at in places:
        yield good[:at]
        for byte in BYTES:
            yield good[:at] + bytes([byte]) + good[at + 1 :]
        for number in INT32S:
            yield good[:at] + number + good[at + 4 :]
        for number in VARINTS:
            yield good[:at] + number + good[at + 1 :]
    for tags in TAGS:
        yield good[:-1] + tags
    for filler in BYTES:
        yield bytes([filler]) * 4096
    for _ in range(positions):
        yield rng.randbytes(rng.randrange(1, 400))


def some(cls: Any, version: int, seed: int, count: int) -> list[bytes]:
    """So many of the corpus, evenly spread, for tests in which each costs a
    connection."""
    whole = list(corpus(cls, version, seed))
    return whole[:: max(1, len(whole) // count)]
