"""Compress and decompress the records of a batch, within a bound.

Nothing here allocates what a length in the input claims: output goes into buffers that
grow with what is really there, up to ``MAX_BYTES``. cramjam's plain
``snappy.decompress*`` allocate the claimed length and abort the process when that
fails; they are not used.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator

import cramjam

from kafka_protocol.fields import Buffer
from kafka_protocol.records.batch import Codec

MAX_BYTES = 64 * 1024 * 1024
STEP_BYTES = 1 << 20
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = struct.Struct(">8sii")
_XERIAL_BLOCK = 32 * 1024


class UnknownCodec(Exception):
    """The batch names a compression that does not exist
    (UNSUPPORTED_COMPRESSION_TYPE)."""


class CannotDecompress(Exception):
    """The compressed bytes are damaged, or hold more than may be unpacked."""


class TooLarge(CannotDecompress):
    """The decompressed bytes would be more than the caller allows."""


def decompress(codec: int, data: Buffer, max_bytes: int = MAX_BYTES) -> bytes | memoryview:
    """The decompressed bytes, at most ``max_bytes``; for Codec.NONE a view of ``data``.

    Raises:
        UnknownCodec: codec 5 to 7.
        TooLarge: it unpacks to more than ``max_bytes``.
        CannotDecompress: the data is damaged.
    """
    match codec:
        case Codec.NONE:
            return memoryview(data)
        case Codec.GZIP:
            return _gunzip(data, max_bytes)
        case Codec.SNAPPY:
            return _unsnappy(data, max_bytes)
        case Codec.LZ4:
            return _grow(cramjam.lz4.decompress_into, data, max_bytes)
        case Codec.ZSTD:
            return _grow(cramjam.zstd.decompress_into, data, max_bytes)
    raise UnknownCodec(f"compression type {codec}")


def decompress_in_steps(
    codec: int, data: Buffer, max_bytes: int = MAX_BYTES
) -> Generator[int, None, bytes | memoryview]:
    """As ``decompress``, for a caller that has other things to do meanwhile: yields the bytes that
    were unpacked since the last time. Gzip, which takes 5 ms for a MiB, comes STEP_BYTES at a time;
    the others are ten times as fast and come at once."""
    if codec != Codec.GZIP:
        body = decompress(codec, data, max_bytes)
        if codec != Codec.NONE:
            yield len(body)
        return body
    stream = zlib.decompressobj(31)
    out, left = bytearray(), data
    try:
        while not stream.eof:
            some = stream.decompress(left, STEP_BYTES)
            out += some
            left = stream.unconsumed_tail
            if not some and not left and not stream.eof:
                raise CannotDecompress("gzip: the data ends early")
            if len(out) > max_bytes:
                raise _too_much(max_bytes)
            yield len(some)
    except zlib.error as e:
        raise CannotDecompress(f"gzip: {e}") from e
    return bytes(out)


def compress(codec: int, data: Buffer) -> bytes:
    """The compressed bytes. Raises: UnknownCodec."""
    plain = bytes(data)
    match codec:
        case Codec.NONE:
            return plain
        case Codec.GZIP:
            return bytes(cramjam.gzip.compress(plain))
        case Codec.SNAPPY:
            out = bytearray(_XERIAL_HEADER.pack(_XERIAL, 1, 1))
            for start in range(0, len(plain), _XERIAL_BLOCK):
                block = bytes(cramjam.snappy.compress_raw(plain[start : start + _XERIAL_BLOCK]))
                out += len(block).to_bytes(4, "big") + block
            return bytes(out)
        case Codec.LZ4:
            return bytes(cramjam.lz4.compress(plain))
        case Codec.ZSTD:
            return bytes(cramjam.zstd.compress(plain))
    raise UnknownCodec(f"compression type {codec}")


def _too_much(max_bytes: int) -> TooLarge:
    return TooLarge(f"the batch unpacks to more than {max_bytes} bytes")


def _gunzip(data: Buffer, max_bytes: int) -> bytes:
    stream = zlib.decompressobj(31)  # 31: a gzip header, and the largest window
    try:
        out = stream.decompress(data, max_bytes + 1)
    except zlib.error as e:
        raise CannotDecompress(f"gzip: {e}") from e
    if len(out) > max_bytes:
        raise _too_much(max_bytes)
    if not stream.eof:
        raise CannotDecompress("gzip: the data ends early")
    return out


def _grow(into: Callable[[Buffer, bytearray], int], data: Buffer, max_bytes: int) -> memoryview:
    """Decompress into a buffer; try again with one four times as large until the data
    fits, up to ``max_bytes``."""
    size = min(max_bytes, max(16 * 1024, 4 * len(data)))
    while True:
        out = bytearray(size)
        try:
            written = into(data, out)
            return memoryview(out)[:written]
        except cramjam.DecompressionError as e:
            if "whole buffer" not in str(e):  # not "the buffer is too small", but damaged data
                raise CannotDecompress(str(e)) from e
        if size == max_bytes:
            raise _too_much(max_bytes)
        size = min(max_bytes, size * 4)


def _unsnappy(data: Buffer, max_bytes: int) -> bytes | memoryview:
    """Snappy in blocks after a header, as Java's producers frame it ("xerial"), or one
    raw block."""
    view = memoryview(data)
    if bytes(view[:8]) != _XERIAL:
        return _unsnappy_block(view, max_bytes)
    out = bytearray()
    position = _XERIAL_HEADER.size
    if position > len(view):
        raise CannotDecompress("snappy: the header is cut off")
    while position < len(view):
        size = int.from_bytes(view[position : position + 4], "big")
        position += 4
        if position + size > len(view):
            raise CannotDecompress("snappy: a block is cut off")
        out += _unsnappy_block(view[position : position + size], max_bytes - len(out))
        position += size
    return bytes(out)


def _unsnappy_block(block: memoryview, max_bytes: int) -> memoryview:
    if not block:
        raise CannotDecompress("snappy: the data is empty")
    try:
        claimed: int = cramjam.snappy.decompress_raw_len(block)
        if claimed > max_bytes:
            raise _too_much(max_bytes)
        # snappy cannot shrink to less than about 1/21: a larger claim is refused before
        # anything is allocated for it.
        if claimed > 32 * len(block) + 64:
            raise CannotDecompress(f"snappy: {len(block)} bytes cannot hold {claimed}")
        out = bytearray(claimed)
        written = cramjam.snappy.decompress_raw_into(block, out) if claimed else 0
    except cramjam.DecompressionError as e:
        raise CannotDecompress(str(e)) from e
    if written != claimed:
        raise CannotDecompress(f"snappy: {written} bytes where {claimed} were announced")
    return memoryview(out)
