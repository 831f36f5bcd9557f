"""Generated writers: for a message class and a version, one function from a message to
bytes.

As in ``reader``, nested structures are written into the loop of their array, and each
run of neighbours of fixed size is packed at once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from kafka_protocol import primitives
from kafka_protocol.fields import (
    BYTES,
    RECORDS,
    STRING,
    UUID_,
    Array,
    Kind,
    Spec,
    WireType,
    fields_in,
)
from kafka_protocol.source import FunctionSource

Writer = Callable[[bytearray, Any], None]
SteppedWriter = Callable[[bytearray, Any], Iterator[None]]
STEP_BYTES = 64 * 1024
"""Bytes between two steps of a stepped writer, unless a single structure has more: about three
milliseconds."""

_NAMES: dict[str, Any] = {
    function.__name__: function
    for function in (
        primitives.not_nullable,
        primitives.write_bytes,
        primitives.write_count,
        primitives.write_records,
        primitives.write_string,
        primitives.write_uvarint,
    )
}


@cache
def writer(cls: Any, version: int) -> Writer:
    """A function that appends a message of this class to a bytearray, as the version
    has it."""
    flexible = bool(version >= cls.FLEXIBLE_SINCE)
    made = _WriterSource(cls.__name__, version, flexible)
    made.start()
    made.structure(1, "message", cls)
    write: Writer = made.end()
    return write


@cache
def stepped_writer(cls: Any, version: int) -> SteppedWriter:
    """The same as a generator, which pauses between the structures of an array after each
    STEP_BYTES."""
    flexible = bool(version >= cls.FLEXIBLE_SINCE)
    made = _WriterSource(cls.__name__, version, flexible, stepped=True)
    made.start()
    made.structure(1, "message", cls)
    write: SteppedWriter = made.end()
    return write


class _WriterSource:
    """Writes the source of one writer. ``depth`` is always the level of indentation,
    ``value`` the expression whose value is written."""

    def __init__(self, title: str, version: int, flexible: bool, stepped: bool = False) -> None:
        self._source = FunctionSource(f"writer of {title} {version}", _NAMES)
        self._add = self._source.add
        self._version = version
        self._flexible = flexible
        self._stepped = stepped

    def start(self) -> None:
        self._add(0, "def write(out, message):")
        if self._stepped:
            self._add(1, f"mark = len(out) + {STEP_BYTES}")
            self._add(1, "if mark < 0: yield")  # never: it makes a generator of any message's
        else:
            self._add(1, "pass")  # a request without fields has no other line

    def end(self) -> Any:
        return self._source.build()["write"]

    # ---- structures
    def structure(self, depth: int, value: str, cls: type) -> None:
        here = fields_in(cls, self._version)
        self._plain_fields(depth, value, [(n, s) for n, s in here if s.tag is None])
        if self._flexible:
            self._tagged_fields(depth, value, [(n, s) for n, s in here if s.tag is not None])

    def _plain_fields(self, depth: int, value: str, fields: list[tuple[str, Spec]]) -> None:
        run: list[tuple[str, Kind]] = []
        for name, spec in fields:
            if isinstance(spec.type, Kind) and spec.type.code:
                run.append((name, spec.type))
                continue
            self._pack(depth, value, run)
            run = []
            self.value(depth, f"{value}.{name}", spec.type, self._may_be_null(spec))
        self._pack(depth, value, run)

    def _pack(self, depth: int, value: str, run: list[tuple[str, Kind]]) -> None:
        if run:
            fixed = struct.Struct(">" + "".join(kind.code for _, kind in run))
            pack = self._source.bind("pack", fixed.pack)
            values = ", ".join(f"{value}.{name}" for name, _ in run)
            self._add(depth, f"out += {pack}({values})")

    def _may_be_null(self, spec: Spec) -> bool:
        return self._version >= spec.nullable_since

    def _tagged_fields(self, depth: int, value: str, fields: list[tuple[str, Spec]]) -> None:
        """Write those that differ from their default, in the order of their tags, each
        with its length in front: so each goes to a buffer of its own first."""
        if not fields:
            self._add(depth, "out.append(0)")
            return
        tags, outer = self._source.local("tags"), self._source.local("outer")
        self._add(depth, f"{tags} = []")
        self._add(depth, f"{outer} = out")
        for name, spec in sorted(fields, key=lambda field: field[1].tag or 0):
            default = spec.default() if callable(spec.default) else spec.default
            self._add(depth, f"if {value}.{name} != {self._source.bind('default', default)}:")
            self._add(depth + 1, "out = bytearray()")
            self.value(depth + 1, f"{value}.{name}", spec.type, self._may_be_null(spec))
            self._add(depth + 1, f"{tags}.append(({spec.tag}, out))")
        self._add(depth, f"out = {outer}")
        self._add(depth, f"out.append(len({tags}))")
        self._add(depth, f"for tag, data in {tags}:")
        self._add(depth + 1, "write_uvarint(out, tag); write_uvarint(out, len(data)); out += data")

    # ---- values
    def value(self, depth: int, value: str, t: WireType, nullable: bool) -> None:
        if not nullable and (isinstance(t, Array) or t in (STRING, BYTES, RECORDS)):
            # A null here would be read as another message, or not at all.
            self._add(depth, f"if {value} is None: not_nullable({value.rpartition('.')[2]!r})")
        if isinstance(t, Array):
            self._array(depth, value, t.item)
        elif isinstance(t, Kind):
            self._primitive(depth, value, t)
        else:
            inner = self._source.local("m")
            self._add(depth, f"{inner} = {value}")
            if nullable:
                self._add(depth, f"if {inner} is None: out += b'\\xff'")
                self._add(depth, "else:")
                depth += 1
                self._add(depth, "out += b'\\x01'")
            self.structure(depth, inner, t)

    def _primitive(self, depth: int, value: str, kind: Kind) -> None:
        if kind is UUID_:
            self._add(depth, f"out += {value}.bytes")
        elif kind.code:
            pack = self._source.bind("pack", struct.Struct(">" + kind.code).pack)
            self._add(depth, f"out += {pack}({value})")
        else:
            write = {STRING: "write_string", BYTES: "write_bytes", RECORDS: "write_records"}[kind]
            self._add(depth, f"{write}(out, {value}, {self._flexible})")

    def _array(self, depth: int, value: str, item: Kind | type) -> None:
        values, one = self._source.local("values"), self._source.local("m")
        self._add(depth, f"{values} = {value}")
        if self._flexible:  # nearly every count fits one byte: no call for those
            self._add(depth, f"if {values} is not None and len({values}) < 127:")
            self._add(depth + 1, f"out.append(len({values}) + 1)")
            self._add(depth, f"else: write_count(out, {values}, True)")
        else:
            self._add(depth, f"write_count(out, {values}, False)")
        if isinstance(item, Kind) and item.code:
            pack = self._source.bind("pack", struct.pack)
            self._add(
                depth, f"if {values}: out += {pack}('>%d{item.code}' % len({values}), *{values})"
            )
            return
        self._add(depth, f"for {one} in {values} or ():")
        if isinstance(item, Kind):
            self._primitive(depth + 1, one, item)
            return
        self.structure(depth + 1, one, item)
        if self._stepped:
            self._add(depth + 1, f"if len(out) >= mark: yield; mark = len(out) + {STEP_BYTES}")
