"""Encodes text that a person typed to the bytes of a key, value or header: the inverse of
``decode``."""

from __future__ import annotations

import base64
import binascii
import re
import uuid

from kafka_client.errors import BadInput
from kafka_client.reading import exact_json
from kafka_client.reading.decode import Kind

TYPED = (Kind.STRING, Kind.JSON, Kind.INT32, Kind.INT64, Kind.UUID, Kind.HEX, Kind.BASE64)


def encode(text: str, kind: Kind) -> bytes:
    """Encode ``text`` as ``kind``. Raises: BadInput that says what is wrong with the text."""
    match kind:
        case Kind.INT32 | Kind.INT64:
            size = 4 if kind is Kind.INT32 else 8
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", text.strip()):
                raise BadInput(f"“{text[:40]}” is not a whole number.")
            try:
                return int(text).to_bytes(size, "big", signed=True)
            except OverflowError:
                raise BadInput(f"{text[:40]} does not fit into an {kind}.") from None
        case Kind.UUID:
            try:
                return uuid.UUID(text.strip()).bytes
            except ValueError:
                raise BadInput(f"“{text[:40]}” is not a UUID.") from None
        case Kind.HEX:
            try:
                return bytes.fromhex(text.strip().removeprefix("0x"))
            except ValueError:
                raise BadInput("This is not hex: two hex digits for each byte.") from None
        case Kind.BASE64:
            try:
                return base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                raise BadInput("This is not base64.") from None
        case Kind.JSON:
            parsed = exact_json.parse(text)
            if not parsed.ok:
                raise BadInput(parsed.problem)
            return text.encode("utf-8", "surrogatepass")
        case _:
            return text.encode("utf-8", "surrogatepass")
