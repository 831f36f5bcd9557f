"""Decodes the bytes of a key, value or header to text for people. Never raises, whatever the bytes
are.

``guess`` tells the kind of the bytes and why; ``preview`` makes the text of a table's cell from the
first bytes alone, so that a value of 20 MB costs as much as one of 2 KB.
"""

from __future__ import annotations

import base64
import struct
import uuid
from dataclasses import dataclass
from enum import StrEnum

from kafka_client.reading import exact_json
from resources.wording import counted

PREVIEW_BYTES = 2048
PREVIEW_CHARS = 512
PARSED_AT_MOST = 128 << 10
"""``guess`` parses JSON up to so many bytes; larger data is judged by its first and last
character."""
_TEXT_SAMPLE = 4096


class Kind(StrEnum):
    GUESS = "guess"
    STRING = "string"
    JSON = "JSON"
    INT32 = "int32"
    INT64 = "int64"
    UUID = "UUID"
    HEX = "hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Guess:
    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded bytes."""

    kind: Kind
    """How they were decoded; never GUESS."""
    text: str
    why: str = ""
    """Why ``guess`` chose the kind; empty when the caller chose it."""
    problem: str = ""
    """Why the bytes do not fit the kind; ``text`` is a substitute then."""


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "begins like gzip"),
    (b"\x28\xb5\x2f\xfd", "begins like zstd"),
    (b"PK\x03\x04", "begins like a zip file"),
    (b"\x89PNG", "begins like a PNG image"),
    (b"\x7fELF", "begins like an ELF program"),
    (b"\xac\xed\x00\x05", "begins like a serialised Java object"),
    (b"Obj\x01", "begins like an Avro file"),
)


def guess(data: bytes) -> Guess:
    """The kind that these bytes look like. Cheap: examines the first 4 KiB, and parses JSON of up
    to PARSED_AT_MOST bytes."""
    if not data:
        return Guess(Kind.STRING, "empty")
    for magic, why in _MAGIC:
        if data.startswith(magic):
            return Guess(Kind.HEX, why)
    if not _is_text(data):
        return _guess_binary(data)
    head, tail = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1], data[-64:].rstrip()[-1:]
    if (head, tail) in ((b"{", b"}"), (b"[", b"]")):
        if len(data) > PARSED_AT_MOST:
            return Guess(Kind.JSON, "begins and ends like JSON")
        if exact_json.parse(data).ok:
            return Guess(Kind.JSON, "valid JSON")
        return Guess(Kind.STRING, "text; begins like JSON but is not valid")
    return Guess(Kind.STRING, "valid UTF-8")


def _guess_binary(data: bytes) -> Guess:
    if len(data) == 16 and (data[8] & 0xC0) == 0x80 and 1 <= data[6] >> 4 <= 8:
        return Guess(Kind.UUID, "16 bytes with a UUID's version bits")
    if len(data) == 8:
        return Guess(Kind.INT64, "8 bytes that are not text")
    if len(data) == 4:
        return Guess(Kind.INT32, "4 bytes that are not text")
    if len(data) > 5 and data[0] == 0:
        (schema,) = struct.unpack(">I", data[1:5])
        if 0 < schema < 1 << 24:
            return Guess(
                Kind.HEX, f"looks like the framing of a schema registry, schema id {schema:,}"
            )
    return Guess(Kind.HEX, "bytes that are not text")


def _is_text(data: bytes) -> bool:
    """Return whether the first bytes are UTF-8 with few control characters (an eighth; a quarter
    NUL)."""
    sample = data[:_TEXT_SAMPLE]
    try:
        text = sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) <= _TEXT_SAMPLE or error.start < len(sample) - 4:
            return False
        text = sample[: error.start].decode("utf-8")
    odd = sum(1 for c in text if c < " " and c not in "\t\n\r\x1b\x00")
    nul = text.count("\x00")
    return odd * 8 <= len(text) and nul * 4 <= len(text)


def preview(data: bytes | None, kind: Kind = Kind.GUESS, limit: int = PREVIEW_CHARS) -> str:
    """One line for a cell, at most ``limit`` characters; each run of white space becomes one
    blank."""
    if data is None:
        return ""
    head = data[:PREVIEW_BYTES]
    if kind in (Kind.GUESS, Kind.STRING, Kind.JSON):
        if kind is Kind.GUESS and not _is_text(
            head if len(data) <= PREVIEW_BYTES else data[:PREVIEW_BYTES]
        ):
            kind = _guess_binary(data).kind
        else:
            text = head.decode("utf-8", "replace")
            if len(data) > PREVIEW_BYTES:
                text = text.rstrip("\ufffd")
            return (
                " ".join(text[: 2 * limit].split())[:limit] if not text.isspace() else text[:limit]
            )
    if kind in (Kind.HEX, Kind.BASE64):
        head = data[: limit // 2]
        return (head.hex(" ") if kind is Kind.HEX else base64.b64encode(head).decode())[:limit]
    return decode(data, kind).text[:limit]


def decode(data: bytes, kind: Kind = Kind.GUESS, limit: int | None = None) -> Decoded:
    """Decode the first ``limit`` bytes, or all, as ``kind``."""
    why = ""
    if kind is Kind.GUESS:
        guessed = guess(data)
        kind, why = guessed.kind, guessed.why
    part = data if limit is None else data[:limit]
    match kind:
        case Kind.STRING | Kind.JSON:
            return _decode_text(data, part, kind, why)
        case Kind.INT32 | Kind.INT64:
            size = 4 if kind is Kind.INT32 else 8
            if len(data) == size:
                return Decoded(kind, str(int.from_bytes(data, "big", signed=True)), why)
            return Decoded(
                kind,
                part.hex(" "),
                why,
                f"{counted(len(data), 'byte')} cannot be an {kind}; it has {size}. Shown as hex.",
            )
        case Kind.UUID:
            if len(data) == 16:
                return Decoded(kind, str(uuid.UUID(bytes=data)), why)
            text = part.decode("utf-8", "replace")
            if len(data) == 36 and _is_uuid(text):
                return Decoded(kind, text.lower(), why)
            return Decoded(
                kind,
                part.hex(" "),
                why,
                f"{counted(len(data), 'byte')} cannot be a UUID; it has 16. Shown as hex.",
            )
        case Kind.BASE64:
            return Decoded(kind, base64.b64encode(part).decode("ascii"), why)
        case _:
            return Decoded(Kind.HEX, part.hex(" "), why)


def _decode_text(data: bytes, part: bytes, kind: Kind, why: str) -> Decoded:
    problem = ""
    try:
        text = part.decode("utf-8")
    except UnicodeDecodeError as error:
        text = part.decode("utf-8", "replace")
        if len(part) == len(data) or error.start < len(part) - 4:
            problem = f"Not valid UTF-8: byte {error.start:,} is invalid; shown as \ufffd."
        else:
            text = part[: error.start].decode("utf-8")
    return Decoded(kind, text, why, problem)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
