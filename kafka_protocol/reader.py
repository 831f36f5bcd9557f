"""Generated readers: for a message class and a version, one function from bytes to a
message.

For the request ``class R: a: int32, names: array of string, b: int16`` the function for
a flexible version is in essence::

    def read(b, p, most):
        size = len(b); items = most
        m1 = new(R)
        (m1.a,) = unpack(b, p); p += 4
        n2 = b[p] - 1                               # the count of a compact array, plus one
        if 0 <= n2 < 127: p += 1
        else: n2, p = read_count(b, p, True, False)
        if n2 * 1 > size - p: raise does_not_fit(n2, size - p)
        items -= n2
        if items < 0: raise too_many_items(most)
        ...                                         # a loop that appends the strings
        (m1.b,) = unpack(b, p); p += 2
        p = skip_tags(b, p) if b[p] else p + 1
        return m1, p

Nested structures are written into the loop of their array, so that a partition costs no
call, and the position, the size and the budget of items are plain local variables.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import MISSING
from functools import cache
from typing import Any

from kafka_protocol import primitives
from kafka_protocol.fields import (
    BOOL,
    BYTES,
    RECORDS,
    STRING,
    UUID_,
    Array,
    Buffer,
    Kind,
    Spec,
    WireType,
    all_fields,
    fields_in,
    least_size,
)
from kafka_protocol.source import FunctionSource

Reader = Callable[[Buffer, int, int], tuple[Any, int]]

_NAMES: dict[str, Any] = {
    "new": object.__new__,
    "TAGS_MAX": primitives.TAGS_MAX,
    **{
        function.__name__: function
        for function in (
            primitives.ProtocolError,
            primitives.does_not_fit,
            primitives.too_many_items,
            primitives.read_bytes,
            primitives.read_count,
            primitives.read_records,
            primitives.read_string,
            primitives.read_uuid,
            primitives.read_uvarint,
            primitives.skip_tags,
            primitives.span,
        )
    },
}


@cache
def reader(cls: Any, version: int) -> Reader:
    """A function (bytes, position, most items) -> (message, position after it) for a class
    and a version.

    It raises ProtocolError, IndexError, struct.error or UnicodeDecodeError for bytes
    that are no such message.
    """
    flexible = bool(version >= cls.FLEXIBLE_SINCE)
    made = _ReaderSource(cls.__name__, version, flexible)
    made.start()
    made.structure(1, "message", cls)
    return made.end()


class _ReaderSource:
    """Writes the source of one reader. ``depth`` is always the level of indentation,
    ``target`` the variable, attribute or pair of both that a value is stored in."""

    def __init__(self, title: str, version: int, flexible: bool) -> None:
        self._source = FunctionSource(f"reader of {title} {version}", _NAMES)
        self._add = self._source.add
        self._version = version
        self._flexible = flexible
        self._counts_numbers = title.endswith("Request")

    def start(self) -> None:
        self._add(0, "def read(b, p, most):")
        self._add(1, "size = len(b)")
        self._add(1, "items = most")

    def end(self) -> Reader:
        self._add(1, "return message, p")
        read: Reader = self._source.build()["read"]
        return read

    # ---- structures
    def structure(self, depth: int, target: str, cls: Any) -> None:
        """Make an instance without its ``__init__``, whose keyword arguments would cost
        more than reading the fields, and give it all its attributes."""
        make = self._source.bind("class", cls)
        self._add(depth, f"{target} = new({make})")
        here = fields_in(cls, self._version)
        self._plain_fields(depth, target, [(n, s) for n, s in here if s.tag is None])
        present = {name for name, spec in here if spec.tag is None}
        for name, field in all_fields(cls):
            if name not in present:
                self._add(depth, f"{target}.{name} = {self._default(field)}")
        if self._flexible:
            self._tagged_fields(depth, target, [(n, s) for n, s in here if s.tag is not None])

    def _plain_fields(self, depth: int, target: str, fields: list[tuple[str, Spec]]) -> None:
        """One unpack for each run of neighbours of fixed size, one step for each other
        field."""
        run: list[tuple[str, Kind]] = []
        for name, spec in fields:
            if isinstance(spec.type, Kind) and spec.type.code:
                run.append((name, spec.type))
                continue
            self._unpack(depth, target, run)
            run = []
            self.value(depth, f"{target}.{name}", spec.type, self._may_be_null(spec))
        self._unpack(depth, target, run)

    def _unpack(self, depth: int, target: str, run: list[tuple[str, Kind]]) -> None:
        if run:
            fixed = struct.Struct(">" + "".join(kind.code for _, kind in run))
            unpack = self._source.bind("unpack", fixed.unpack_from)
            targets = ", ".join(f"{target}.{name}" for name, _ in run)
            self._add(depth, f"({targets},) = {unpack}(b, p); p += {fixed.size}")

    def _default(self, field: Any) -> str:
        """The expression for a field that the version lacks, or that may come as a
        tag."""
        if field.default_factory is list:
            return "[]"
        if field.default_factory is not MISSING:
            return self._source.bind("make", field.default_factory) + "()"
        return self._source.bind("default", field.default)

    def _may_be_null(self, spec: Spec) -> bool:
        return self._version >= spec.nullable_since

    def _tagged_fields(self, depth: int, target: str, fields: list[tuple[str, Spec]]) -> None:
        if not fields:
            # A structure ends with the number of its tags, and it is nearly always 0.
            self._add(depth, "p = skip_tags(b, p) if b[p] else p + 1")
            return
        count, tag = self._source.local("tags"), self._source.local("tag")
        length, end = self._source.local("length"), self._source.local("end")
        self._add(depth, f"{count}, p = read_uvarint(b, p)")
        self._add(depth, f"if {count} > TAGS_MAX: raise ProtocolError('too many tagged fields')")
        self._add(depth, f"for _ in range({count}):")
        self._add(depth + 1, f"{tag}, p = read_uvarint(b, p)")
        self._add(depth + 1, f"{length}, p = read_uvarint(b, p)")
        self._add(depth + 1, f"{end} = span(b, p, {length})")
        for name, spec in fields:
            self._add(depth + 1, f"if {tag} == {spec.tag}:")
            self.value(depth + 2, f"{target}.{name}", spec.type, self._may_be_null(spec))
            # A known tag must end where its length says: else the two would be read
            # differently by a reader that knows the tag and by one that skips it.
            self._add(depth + 2, f"if p != {end}: raise does_not_fit({length}, {end} - p)")
        self._add(depth + 1, f"p = {end}")

    # ---- values
    def value(self, depth: int, target: str, t: WireType, nullable: bool) -> None:
        if isinstance(t, Array):
            self._array(depth, target, t.item, nullable)
        elif isinstance(t, Kind):
            self._primitive(depth, target, t, nullable)
        elif nullable:
            self._add(depth, f"if b[p] == 255: {target} = None; p += 1")
            self._add(depth, "else:")
            self._add(depth + 1, "p += 1")
            self._nested(depth + 1, target, t)
        else:
            self._nested(depth, target, t)

    def _nested(self, depth: int, target: str, cls: type) -> None:
        """Fill a local variable and then store it: loading it is cheaper than an
        attribute of an attribute for each of its fields."""
        inner = self._source.local("m")
        self.structure(depth, inner, cls)
        self._add(depth, f"{target} = {inner}")

    def _primitive(self, depth: int, target: str, kind: Kind, nullable: bool) -> None:
        if kind is STRING:
            self._string(depth, target, nullable)
        elif kind is UUID_:
            self._add(depth, f"{target} = read_uuid(b[p:span(b, p, 16)]); p += 16")
        elif kind in (BYTES, RECORDS):
            self._byte_array(depth, target, kind, nullable)
        else:
            fixed = struct.Struct(">" + kind.code)
            unpack = self._source.bind("unpack", fixed.unpack_from)
            self._add(depth, f"({target},) = {unpack}(b, p); p += {fixed.size}")

    def _string(self, depth: int, target: str, nullable: bool) -> None:
        """Short strings, nearly all, are read in line; null, long ones and those that
        do not fit are left to ``read_string``."""
        n = self._source.local("n")
        if self._flexible:  # the length plus one in one byte: the text is b[p + 1 : p + n]
            self._add(depth, f"{n} = b[p]")
            self._add(depth, f"if 0 < {n} < 128 and p + {n} <= size:")
            self._add(depth + 1, f"{target} = str(b[p + 1 : p + {n}], 'utf-8'); p += {n}")
        else:
            self._add(depth, f"{n} = (b[p] << 8 | b[p + 1]) + 2")
            self._add(depth, f"if {n} < 0x8000 and p + {n} <= size:")
            self._add(depth + 1, f"{target} = str(b[p + 2 : p + {n}], 'utf-8'); p += {n}")
        call = f"{target}, p = read_string(b, p, {self._flexible}, {nullable})"
        self._add(depth, f"else: {call}")

    def _byte_array(self, depth: int, target: str, kind: Kind, nullable: bool) -> None:
        """Read in line what is there and fits; leave the rest to ``read_bytes`` and
        ``read_records``. Records are views: they are never copied on their way
        in."""
        n, at = self._source.local("n"), self._source.local("at")
        if self._flexible:
            self._add(depth, f"{n}, {at} = read_uvarint(b, p); {n} -= 1")
        else:
            self._add(depth, f"({n},) = {self._int32()}(b, p); {at} = p + 4")
        end = f"{at} + {n}"
        self._add(depth, f"if 0 <= {n} <= size - {at}:")
        taken = f"memoryview(b)[{at} : {end}]" if kind is RECORDS else f"bytes(b[{at} : {end}])"
        self._add(depth + 1, f"{target} = {taken}; p = {end}")
        read = "read_records" if kind is RECORDS else "read_bytes"
        self._add(depth, f"else: {target}, p = {read}(b, p, {self._flexible}, {nullable})")

    def _int32(self) -> str:
        return self._source.bind("unpack", struct.Struct(">i").unpack_from)

    def _array(self, depth: int, target: str, item: Kind | type, nullable: bool) -> None:
        n = self._source.local("n")
        if self._flexible:  # nearly every count fits one byte: no call for those
            self._add(depth, f"{n} = b[p] - 1")
            self._add(depth, f"if 0 <= {n} < 127: p += 1")
            self._add(depth, f"else: {n}, p = read_count(b, p, True, {nullable})")
        else:
            self._add(depth, f"({n},) = {self._int32()}(b, p); p += 4")
            self._add(depth, f"if {n} < 0: {n}, p = read_count(b, p - 4, False, {nullable})")
        least = least_size(item, self._version, self._flexible)
        self._add(depth, f"if {n} * {least} > size - p: raise does_not_fit({n}, size - p)")
        if nullable:
            self._add(depth, f"if {n} < 0: {target} = None")
            self._add(depth, "else:")
            depth += 1
        if isinstance(item, Kind) and item.code and item is not BOOL:
            # All at once. Numbers take little more memory than the bytes that hold them, so
            # they are counted only where a handler does something for each of them. A bool is
            # read singly, for any byte but 0 is true.
            if self._counts_numbers:
                self._add(depth, f"items -= {n}")
                self._add(depth, "if items < 0: raise too_many_items(most)")
            fixed = struct.calcsize(">" + item.code)
            unpack = self._source.bind("unpack", struct.unpack_from)
            self._add(depth, f"{target} = list({unpack}('>%d{item.code}' % {n}, b, p))")
            self._add(depth, f"p += {n} * {fixed}")
            return
        self._add(depth, f"items -= {n}")
        self._add(depth, "if items < 0: raise too_many_items(most)")
        values, one = self._source.local("values"), self._source.local("m")
        self._add(depth, f"{target} = {values} = []")
        self._add(depth, f"for _ in range({n}):")
        if isinstance(item, Kind):
            self._primitive(depth + 1, one, item, False)
        else:
            self.structure(depth + 1, one, item)
        self._add(depth + 1, f"{values}.append({one})")
