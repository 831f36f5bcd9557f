"""A non-blocking socket that carries frames: a four-byte size, then as many bytes.

Receiving uses one scratch buffer that all sockets of a loop share; a frame of more than
LARGE_FRAME bytes that has not arrived whole gets a buffer of its own from the pool. Sending
collects pieces and writes them with one sendmsg per wake-up; slices of log files go from file to
socket with sendfile.

States of the receiving side: reading -> frame waits (``on_frame`` refused a whole frame; nothing
more is read until ``resume``) -> reading; or waiting for memory (the pool is exhausted) ->
reading. Everything runs in the thread of the event loop.
"""

from __future__ import annotations

import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any

from embedded_broker.shell import platform
from embedded_broker.shell.buffers import BufferPool
from embedded_broker.shell.loop import BROKEN, READ, WRITE, Loop
from embedded_broker.shell.storage.slices import FileSlice

SCRATCH_BYTES = 128 * 1024
LARGE_FRAME = 16 * 1024
TURN_BYTES = 1024 * 1024
"""About how much is read from one socket in one wake-up, so that the others get their turn."""
IOV_MAX = 64
"""Pieces in one sendmsg; far below the 1024 that Linux allows, and enough for a wake-up."""
PLAIN_CHUNK = 256 * 1024
"""Bytes read from a file at a time where there is no sendfile."""
MSG_MORE: int = getattr(socket, "MSG_MORE", 0)
_SIZE = struct.Struct(">i")

Piece = bytes | bytearray | FileSlice


class Shared:
    """The loop and the buffers that all its sockets use."""

    def __init__(self, loop: Loop, pool: BufferPool | None = None) -> None:
        self.loop = loop
        self.pool = pool or BufferPool()
        self.peer_pool = BufferPool()
        """For connections between brokers, which do not wait for frames of clients."""
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))


class FramedSocket(ABC):
    """A socket of the loop. Subclasses get whole frames in ``on_frame`` and refuse one to stop
    reading for a while."""

    def __init__(
        self, shared: Shared, sock: socket.socket, max_frame: int, events: int = READ
    ) -> None:
        self.shared = shared
        self.sock = sock
        self.fd = sock.fileno()
        self.max_frame = max_frame
        self.closed = False
        self.pool = shared.pool
        """Where the buffer of the next large frame comes from."""
        self.frame_since_ms = 0
        """When the incomplete frame began, on the loop's clock; 0 when there is none."""
        self.frame_waits = False
        """Whether ``on_frame`` refused a frame, which waits here for ``resume``."""
        self._tail = b""
        """Received bytes of frames that are not handed out yet, when they are few."""
        self._large: bytearray | None = None
        """Buffer of a large frame, of which ``_large_filled`` of ``_large_size`` bytes are here."""
        self._large_pool = shared.pool
        """Where that buffer came from."""
        self._large_filled = 0
        self._large_size = 0
        self._waits_for_memory = False
        self._out: deque[Piece] = deque()
        self.out_bytes = 0
        self._out_done = 0
        """Bytes of the first piece in ``_out`` that are sent already."""
        self._events = events
        shared.loop.add(self.fd, events, self._on_ready)

    # ---- for subclasses
    @abstractmethod
    def on_frame(self, frame: memoryview) -> bool:
        """Handle a whole frame; return False to be offered it again by ``resume``.

        The view is valid during the call only: its memory is reused for the next frame.
        """

    @abstractmethod
    def on_closed(self, reason: str) -> None:
        """Called once. ``reason`` is empty when the other side just left."""

    def on_writable(self) -> bool:
        """Handle that the socket became writable; True when it was a connect that finished, and
        there is nothing to flush."""
        return False

    # ---- readiness
    def _on_ready(self, events: int) -> None:
        if events & WRITE and not self.closed and not self.on_writable():
            self.flush()
        if events & (READ | BROKEN) and not self.closed:
            if self._events & READ:
                self._read()
            elif events & BROKEN:
                self.close("")

    def _watch(self, events: int) -> None:
        if events != self._events:
            self._events = events
            self.shared.loop.modify(self.fd, events)

    def pause_reading(self) -> None:
        """Leave received bytes in the kernel, which slows the sender down."""
        self._watch(self._events & ~READ)

    def resume_reading(self) -> None:
        """Read again, unless a frame or the memory for one is waited for."""
        if not self.closed and not self.frame_waits and not self._waits_for_memory:
            self._watch(self._events | READ)

    # ---- receiving
    def _read(self) -> None:
        """Read until the socket is empty, a frame waits, or this socket had its turn."""
        taken = 0
        while not self.closed:
            if self.frame_waits:
                # Leave the bytes behind that frame in the kernel: TCP then slows the sender down.
                # Errors and hang-ups are still reported.
                self.pause_reading()
                return
            try:
                if self._large is not None:
                    wanted, got = self._read_large()
                else:
                    wanted, got = self._read_small()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                self.close(_reason(e))
                return
            if got == 0:
                # End of stream, unless nothing was asked for because there is no memory.
                if wanted:
                    self.close("")
                return
            taken += got
            # Fewer bytes than asked for means that the socket is empty: do not call recv again
            # only to hear EAGAIN.
            if got < wanted or taken >= TURN_BYTES:
                return

    def _read_small(self) -> tuple[int, int]:
        """Receive into the scratch buffer behind the tail; returns (bytes wanted, bytes got)."""
        scratch = self.shared.scratch
        tail = self._tail
        start = len(tail)
        if start:
            scratch[:start] = tail
            self._tail = b""
        try:
            got = self.sock.recv_into(scratch[start:])
        except (BlockingIOError, InterruptedError):
            self._tail = tail  # another socket may use the scratch buffer next
            raise
        if got:
            self._take_frames(start + got)
        return SCRATCH_BYTES - start, got

    def _take_frames(self, filled: int) -> None:
        """Hand out the whole frames among the first ``filled`` bytes of the scratch buffer and
        keep what follows them."""
        scratch = self.shared.scratch
        position = 0
        while filled - position >= 4:
            (size,) = _SIZE.unpack_from(scratch, position)
            end = position + 4 + size
            # The smallest header is eight bytes: api key, version, correlation id.
            if size < 8 or size > self.max_frame:
                self.refuse_size(size, bytes(scratch[position : min(filled, position + 8)]))
                return
            if end <= filled:
                if not self.on_frame(scratch[position + 4 : end]):
                    if self.closed:
                        return
                    self.frame_waits = True
                    break
                if self.closed:
                    return
                position = end
                continue
            if 4 + size > LARGE_FRAME:
                self._begin_large(size, scratch[position + 4 : filled])
                return
            break
        # Copy what is left over: at most LARGE_FRAME bytes, or frames behind the refused one.
        if position < filled:
            self._tail = bytes(scratch[position:filled])
            if not self.frame_waits and not self.frame_since_ms:
                self.frame_since_ms = self.shared.loop.turn_ms
        else:
            self.frame_since_ms = 0

    def _begin_large(self, size: int, received: memoryview) -> None:
        """Continue a frame of ``size`` bytes in a buffer of its own."""
        self._large_pool = pool = self.pool
        self._large = buffer = pool.take(size)
        self._large_size = size
        self._large_filled = len(received)
        buffer[: len(received)] = received
        self.frame_since_ms = self.shared.loop.turn_ms
        if pool.exhausted:
            self._wait_for_memory()

    def _wait_for_memory(self) -> None:
        self._waits_for_memory = True
        self.pause_reading()

        def resume() -> None:
            self._waits_for_memory = False
            # The frame was late because of the broker: its deadline begins anew.
            self.frame_since_ms = self.shared.loop.turn_ms
            self.resume_reading()

        self._large_pool.when_free(resume)

    def _read_large(self) -> tuple[int, int]:
        """Receive into the large frame's buffer; returns (bytes wanted, bytes got).

        The buffer grows with the bytes that arrived, not with the size that the frame announces:
        a forged size costs no memory (CVE-2022-34917).
        """
        buffer = self._large
        assert buffer is not None
        if self._waits_for_memory:
            return 0, 0
        filled, size = self._large_filled, self._large_size
        if filled == len(buffer):
            if not self._large_pool.may_grow(buffer):
                self._wait_for_memory()
                return 0, 0
            self._large_pool.grow(buffer, size)
        end = min(size, len(buffer))
        with memoryview(buffer) as view, view[filled:end] as rest:
            got = self.sock.recv_into(rest)
        wanted = end - filled
        self._large_filled = filled = filled + got
        if filled == size:
            self._finish_large()
        return wanted, got

    def _finish_large(self) -> None:
        """Hand out the large frame, which is whole, and give its buffer back."""
        buffer = self._large
        assert buffer is not None
        view = memoryview(buffer)
        frame = view[: self._large_size]
        taken = self.on_frame(frame)
        # Views must be gone before the pool can reuse the buffer.
        frame.release()
        view.release()
        if self.closed:
            return
        if not taken:
            self.frame_waits = True
            return
        self._large = None
        self.frame_since_ms = 0
        self._large_pool.give(buffer)

    def resume(self) -> None:
        """Offer the frame that waits, and those received after it, to ``on_frame`` again."""
        if self.closed or not self.frame_waits:
            return
        self.frame_waits = False
        if self._large is not None:
            self._finish_large()
        elif self._tail:
            filled = len(self._tail)
            self.shared.scratch[:filled] = self._tail
            self._tail = b""
            self._take_frames(filled)
        self.resume_reading()

    def refuse_size(self, size: int, start: bytes) -> None:
        """Close because of a frame size that is out of bounds; ``start`` are its first bytes."""
        self.close(f"invalid frame size {size}")

    # ---- sending
    def queue(self, piece: Piece) -> None:
        """Add bytes or a file slice to what the next ``flush`` sends."""
        self._out.append(piece)
        self.out_bytes += len(piece)

    def flush(self) -> None:
        """Send the queue as far as the socket takes it, the rest when it becomes writable."""
        out = self._out
        try:
            while out:
                first = out[0]
                sent = (
                    self._send_slice(first) if isinstance(first, FileSlice) else self._send_bytes()
                )
                if sent < 0:
                    self._watch(self._events | WRITE)
                    return
        except (BlockingIOError, InterruptedError):
            self._watch(self._events | WRITE)
            return
        except OSError as e:
            self.close(_reason(e))
            return
        if self._events & WRITE:
            self._watch(self._events & ~WRITE)

    def _send_bytes(self) -> int:
        """Send the leading pieces that are bytes; -1 when the socket took only a part of them."""
        out = self._out
        pieces: list[bytes | bytearray | memoryview] = []
        size = 0
        flags = 0
        for piece in out:
            if isinstance(piece, FileSlice):
                flags = MSG_MORE  # the header shares a packet with the start of the slice
                break
            if len(pieces) == IOV_MAX:
                break
            pieces.append(piece)
            size += len(piece)
        if self._out_done:
            pieces[0] = memoryview(pieces[0])[self._out_done :]
            size -= self._out_done
        sent = (
            self.sock.sendmsg(pieces, (), flags)
            if hasattr(self.sock, "sendmsg")
            else self.sock.send(pieces[0])
        )
        self.out_bytes -= sent
        if sent == size:
            for _ in pieces:
                out.popleft()
            self._out_done = 0
            return sent
        # Drop the pieces that are sent whole, and note how much of the next one is.
        done = self._out_done + sent
        while out and done >= len(out[0]):
            done -= len(out.popleft())
        self._out_done = done
        return -1

    def _send_slice(self, piece: FileSlice) -> int:
        """Send some of a log file's slice; returns how many bytes the socket took.

        Raises:
            OSError: also when the file ends within the slice. The frame's size is sent already,
                so the connection can only be closed.
        """
        done = self._out_done
        rest = piece.size - done
        assert piece.file is not None
        if platform.sendfile is not None:
            sent = platform.sendfile(self.fd, piece.file.fd, piece.position + done, rest)
            if sent == 0:
                raise OSError("a log file ends within the slice to send")
        else:
            chunk = piece.file.read(min(rest, PLAIN_CHUNK), piece.position + done)
            if not chunk:
                raise OSError("a log file ends within the slice to send")
            sent = self.sock.send(chunk)
        self.out_bytes -= sent
        if sent == rest:
            self._out.popleft()
            self._out_done = 0
        else:
            self._out_done = done + sent
        return sent

    # ---- end
    def close(self, reason: str) -> None:
        """Close the socket, once. ``reason`` is empty when the other side just left."""
        if self.closed:
            return
        self.closed = True
        self.shared.loop.remove(self.fd)
        try:
            self.sock.close()
        finally:
            if self._large is not None:
                self._large_pool.give(self._large)
                self._large = None
            self._out.clear()
            self.out_bytes = 0
            self.on_closed(reason)


def _reason(error: OSError) -> str:
    """The system's text for the error; empty when the other side just left, in whatever way."""
    return "" if isinstance(error, ConnectionError) else error.strerror or str(error)


def tune(sock: socket.socket, dead_after_ms: int = 0) -> None:
    """Make the socket non-blocking, without delay for small writes, with keep-alive.

    ``dead_after_ms`` closes it when the other side has acknowledged no byte for so long. TCP's own
    limit is about 15 minutes, and after a short cut its back-off delays the first round trip by
    seconds.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT") and dead_after_ms:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, dead_after_ms)


def release_records(partitions: Iterable[Any]) -> None:
    """Release the record views of these partitions into the frame that they came in.

    Called when the records have been appended: the frame's buffer can be reused only when no view
    of it is left.
    """
    for partition in partitions:
        view = partition.records
        if isinstance(view, memoryview):
            partition.records = None
            view.release()
