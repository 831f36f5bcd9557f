"""Encodes messages with lies: lengths, counts, nulls and tags that are not what they say.

``LyingWriter`` walks a message by its declarations, as ``kafka_protocol.writer`` does, and passes
a numbered site at every field. Without sites it writes what the codec writes; at each site that is
named it writes something else. The first walk counts the sites, the second lies at some of them.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from kafka_protocol.fields import (
    BOOL,
    BYTES,
    FLOAT64,
    RECORDS,
    STRING,
    UUID_,
    Array,
    Kind,
    Spec,
    WireType,
    fields_in,
)
from kafka_protocol.primitives import write_bytes, write_count, write_string, write_uvarint

NUMBERS = (0, 1, -1, 2, -2, 127, 255, 32_767, 65_535, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63))
"""Cut to the bits of their field, so that each type has its own boundaries among them."""
COUNTS = (-1, -2, 0, 1, 127, 128, 32_767, 65_536, 2**24, 2**31 - 1, -(2**31))
VARINTS = (
    b"\xff\xff\xff\xff\x0f",  # the largest
    b"\xff\xff\xff\xff\x7f",  # larger than 32 bits
    b"\x81\x80\x80\x80\x00",  # 1 in five bytes
    b"\x80\x80\x80\x80\x80\x80",  # without an end
)
TEXTS = (
    b"",
    b"\xff\xfe",  # not UTF-8
    b"\xed\xa0\x80",  # a surrogate
    b"\x00",
    b"../../etc/passwd",
    b"\x1b[2J\r\n<b>",
    "漢字é".encode(),
    b"9" * 5_000,
    "²".encode(),  # a digit that int() refuses
    b"x" * 249,
    b"x" * 250,
    b"x" * 32_767,
    b"x" * 32_768,
    b"x" * 65_535,
)
TAGS = (
    b"\xff\xff\xff\xff\x0f",  # four billion of them
    b"\x01\x00\xff\xff\xff\xff\x0f",  # longer than the message
    b"\x01\x00\x01\xff",  # cut by its own length
    b"\x02\x00\x01\x01\x00\x01\x01",  # the same twice
    b"\x02\x01\x00\x00\x00",  # in the wrong order, and empty
    b"\x01\xe8\x07\x03abc",  # unknown
    b"\x80\x10" + b"\x00\x00" * 2_048,  # more than a structure may have
)
REPEATED = (2, 2, 3, 50, 1_000)
MANY_ITEMS = 30_000
"""Items of a long array, above what a request of a client may have."""
REPEATED_BYTES = 4 * 1024 * 1024


class LyingWriter:
    """Writes one message of ``version`` into ``out``."""

    def __init__(
        self, cls: Any, version: int, rng: random.Random, sites: Iterable[int] = ()
    ) -> None:
        self.out = bytearray()
        self.passed = 0
        """Sites passed so far; after the walk, how many the message has."""
        self.lies: list[str] = []
        """What was said where, for a person who reads a finding."""
        self._version = version
        self._flexible = bool(version >= cls.FLEXIBLE_SINCE)
        self._rng = rng
        self._sites = frozenset(sites)

    def _lies_here(self, where: str) -> bool:
        self.passed += 1
        if self.passed - 1 in self._sites:
            self.lies.append(where)
            return True
        return False

    # ---- structures
    def structure(self, message: Any) -> None:
        """Write all fields of a message or of a structure in one."""
        cls = type(message)
        fields = fields_in(cls, self._version)
        for name, spec in fields:
            if spec.tag is None:
                self._field(f"{cls.__name__}.{name}", getattr(message, name), spec)
        if self._flexible:
            self._tags(message, [(n, s) for n, s in fields if s.tag is not None])

    def _field(self, where: str, value: Any, spec: Spec) -> None:
        self._value(where, value, spec.type, self._version >= spec.nullable_since)

    def _tags(self, message: Any, fields: list[tuple[str, Spec]]) -> None:
        where = f"{type(message).__name__} tags"
        if self._lies_here(where):
            self.out += self._rng.choice(TAGS)
            return
        tagged = []
        for name, spec in sorted(fields, key=lambda field: field[1].tag or 0):
            default = spec.default() if callable(spec.default) else spec.default
            value = getattr(message, name)
            if value == default:
                continue
            outer, self.out = self.out, bytearray()
            self._field(f"{type(message).__name__}.{name}", value, spec)
            tagged.append((spec.tag or 0, self.out))
            self.out = outer
        self.out.append(len(tagged))
        for tag, data in tagged:
            write_uvarint(self.out, tag)
            wrong = self._rng.choice((-1, 1, 200)) if self._lies_here(f"{where} length") else 0
            write_uvarint(self.out, max(0, len(data) + wrong))
            self.out += data

    # ---- values
    def _value(self, where: str, value: Any, t: WireType, nullable: bool) -> None:
        if isinstance(t, Array):
            self._array(where, value, t)
        elif not isinstance(t, Kind):
            self._inner(where, value, nullable)
        elif t.code:
            self._number(where, value, t)
        elif t is UUID_:
            lie = self._lies_here(where)
            number = self._rng.choice((0, 1, 2**128 - 1, self._rng.getrandbits(128)))
            self.out += (UUID(int=number) if lie else value).bytes
        elif t is STRING:
            self._string(where, value)
        else:
            assert t in (BYTES, RECORDS), t
            self._bytes(where, value)

    def _inner(self, where: str, value: Any, nullable: bool) -> None:
        if self._lies_here(where):
            self.out += self._rng.choice((b"\xff", b"\x00", b"\x02", b"\x01", b""))
            return
        if nullable:
            self.out += b"\xff" if value is None else b"\x01"
        if value is not None:
            self.structure(value)

    def _number(self, where: str, value: Any, t: Kind) -> None:
        size = struct.calcsize(">" + t.code)
        if not self._lies_here(where):
            self.out += struct.pack(">" + t.code, value)
        elif t in (BOOL, FLOAT64):
            self.out += self._rng.randbytes(size)
        else:
            near = value + self._rng.choice((-1, 1)), value ^ 1 << self._rng.randrange(8 * size)
            number = self._rng.choice((*NUMBERS, *near))
            self.out += (number & (1 << 8 * size) - 1).to_bytes(size, "big")

    def _string(self, where: str, value: str | None) -> None:
        if not self._lies_here(where):
            write_string(self.out, value, self._flexible)
            return
        if self._rng.random() < 0.7:
            text = self._rng.choice(TEXTS)
            self._length(len(text), 2)
            self.out += text
        else:
            self._wrong_length(len(value or ""), 2)
            self.out += (value or "").encode()

    def _bytes(self, where: str, value: Any) -> None:
        if not self._lies_here(where):
            write_bytes(self.out, value, self._flexible)
            return
        data = bytes(value or b"")
        if self._rng.random() < 0.5:
            self._wrong_length(len(data), 4)
        else:
            data = self._rng.choice(
                (b"", data[:-1], data + b"\x00", data * 2, self._rng.randbytes(70), bytes(61))
            )
            self._length(len(data), 4)
        self.out += data

    def _array(self, where: str, values: Any, t: Array) -> None:
        items = list(values or ())
        outer, self.out = self.out, bytearray()
        for item in items:
            self._value(f"{where}[]", item, t.item, False)
        body, self.out = self.out, outer
        if not self._lies_here(where):
            write_count(self.out, values, self._flexible)
        elif items and self._rng.random() < 0.5:
            times = self._rng.choice(REPEATED)
            if self._rng.random() < 0.03:
                times = MANY_ITEMS // len(items)
            times = min(times, max(1, REPEATED_BYTES // max(1, len(body))))
            self._length(len(items) * times, 4)
            body *= times
        else:
            self._wrong_length(len(items), 4)
        self.out += body

    # ---- lengths
    def _length(self, length: int, size: int) -> None:
        """The length of what follows, as this version writes it."""
        if self._flexible:
            write_uvarint(self.out, length + 1)
        else:
            self.out += (length & (1 << 8 * size) - 1).to_bytes(size, "big")

    def _wrong_length(self, length: int, size: int) -> None:
        if self._flexible and self._rng.random() < 0.4:
            self.out += self._rng.choice(VARINTS)
            return
        wrong = self._rng.choice((*COUNTS, length - 1, length + 1, length + 1_000))
        self._length(max(wrong, -1) if self._flexible else wrong, size)


def encoded(message: Any, version: int) -> bytes:
    """Return the message without any lie."""
    writer = LyingWriter(type(message), version, random.Random(0))
    writer.structure(message)
    return bytes(writer.out)


def mutated(rng: random.Random, message: Any, version: int) -> tuple[bytes, list[str]]:
    """Return the message with one to three lies, and where they are."""
    honest = LyingWriter(type(message), version, rng)
    honest.structure(message)
    if not honest.passed:  # ApiVersions 0 to 2 have no field
        return bytes(honest.out) + rng.randbytes(2), ["bytes after an empty message"]
    sites = {rng.randrange(honest.passed) for _ in range(rng.choice((1, 1, 2, 3)))}
    writer = LyingWriter(type(message), version, rng, sites)
    writer.structure(message)
    return bytes(writer.out), writer.lies
