"""A non-blocking socket that carries frames: a four-byte size and as many bytes.

Receiving goes through one scratch buffer that all sockets of a loop share; a frame too large for
it gets a pooled buffer of its own. Sending gathers what is due and leaves with one sendmsg a
wake-up; stretches of log files go from file to socket with sendfile.
"""

from __future__ import annotations

import socket
import struct
from collections import deque

from embedded_broker.shell import platform
from embedded_broker.shell.buffers import BufferPool
from embedded_broker.shell.loop import BROKEN, READ, WRITE, Loop
from embedded_broker.shell.storage.slices import FileSlice

SCRATCH_BYTES = 128 * 1024
LARGE_FRAME = 16 * 1024
TURN_BYTES = 1024 * 1024
"""Read at most about this much of one socket in one wake-up, so that no one starves the others."""
IOV_MAX = 64
PLAIN_CHUNK = 256 * 1024
MSG_MORE: int = getattr(socket, "MSG_MORE", 0)
_SIZE = struct.Struct(">i")

Piece = bytes | bytearray | FileSlice


class Shared:
    """What the sockets of one loop have in common."""

    def __init__(self, loop: Loop, pool: BufferPool | None = None) -> None:
        self.loop = loop
        self.pool = pool or BufferPool()
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))


class FramedSocket:
    """Subclasses get whole frames in ``on_frame`` and say when they can take no more."""

    def __init__(
        self, shared: Shared, sock: socket.socket, max_frame: int, events: int = READ
    ) -> None:
        self.shared = shared
        self.sock = sock
        self.fd = sock.fileno()
        self.max_frame = max_frame
        self.closed = False
        self.frame_since_ms = 0
        """When the frame that is incomplete now began; 0 when none is."""
        self._tail = b""
        self._large: bytearray | None = None
        self._large_filled = 0
        self._large_size = 0
        self._held = False
        self._paused_for_memory = False
        self._out: deque[Piece] = deque()
        self.out_bytes = 0
        self._out_done = 0
        self._events = events
        shared.loop.add(self.fd, events, self._on_ready)

    # ---- for subclasses
    def on_frame(self, frame: memoryview) -> bool:
        """A whole frame, valid only during the call; False leaves it here until ``resume``."""
        raise NotImplementedError

    def on_closed(self, reason: str) -> None:
        raise NotImplementedError

    def on_writable(self) -> bool:
        """The socket became writable; True when the subclass has dealt with it (a connect that
        finished)."""
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
        self._watch(self._events & ~READ)

    def resume_reading(self) -> None:
        if not self.closed and not self._held and not self._paused_for_memory:
            self._watch(self._events | READ)

    # ---- receiving
    def _read(self) -> None:
        taken = 0
        while not self.closed:
            if self._held:
                # Bytes beyond the frame that waits: take none, but see whether the other side is
                # gone.
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
                if wanted:
                    self.close("")
                return
            taken += got
            if got < wanted or taken >= TURN_BYTES:
                return

    def _read_small(self) -> tuple[int, int]:
        scratch = self.shared.scratch
        tail = self._tail
        start = len(tail)
        if start:
            scratch[:start] = tail
            self._tail = b""
        try:
            got = self.sock.recv_into(scratch[start:])
        except (BlockingIOError, InterruptedError):
            self._tail = tail
            raise
        if got:
            self._take_frames(start + got)
        return SCRATCH_BYTES - start, got

    def _take_frames(self, filled: int) -> None:
        """Hand out the frames at the start of the scratch buffer and keep what follows them."""
        scratch = self.shared.scratch
        position = 0
        while filled - position >= 4:
            (size,) = _SIZE.unpack_from(scratch, position)
            end = position + 4 + size
            if size < 8 or size > self.max_frame:
                self.refuse_size(size, bytes(scratch[position : min(filled, position + 8)]))
                return
            if end <= filled:
                if not self.on_frame(scratch[position + 4 : end]):
                    if self.closed:
                        return
                    self._held = True
                    break
                if self.closed:
                    return
                position = end
                continue
            if 4 + size > LARGE_FRAME:
                self._begin_large(size, scratch[position + 4 : filled])
                return
            break
        if position < filled:
            self._tail = bytes(scratch[position:filled])
            if not self._held and not self.frame_since_ms:
                self.frame_since_ms = self.shared.loop.turn_ms
        else:
            self.frame_since_ms = 0

    def _begin_large(self, size: int, begun: memoryview) -> None:
        pool = self.shared.pool
        self._large = buffer = pool.take(size)
        self._large_size = size
        self._large_filled = len(begun)
        buffer[: len(begun)] = begun
        self.frame_since_ms = self.shared.loop.turn_ms
        if pool.exhausted:
            self._wait_for_memory()

    def _wait_for_memory(self) -> None:
        self._paused_for_memory = True
        self.pause_reading()

        def resume() -> None:
            self._paused_for_memory = False
            self.frame_since_ms = self.shared.loop.turn_ms
            self.resume_reading()

        self.shared.pool.when_free(resume)

    def _read_large(self) -> tuple[int, int]:
        buffer = self._large
        assert buffer is not None
        if self._paused_for_memory:
            return 0, 0
        filled, size = self._large_filled, self._large_size
        if filled == len(buffer):
            if self.shared.pool.exhausted:
                self._wait_for_memory()
                return 0, 0
            self.shared.pool.grow(buffer, size)
        end = min(size, len(buffer))
        with memoryview(buffer) as view, view[filled:end] as rest:
            got = self.sock.recv_into(rest)
        self._large_filled = filled = filled + got
        if filled == size:
            self._finish_large()
        return end - filled + got, got

    def _finish_large(self) -> None:
        buffer = self._large
        assert buffer is not None
        view = memoryview(buffer)
        frame = view[: self._large_size]
        taken = self.on_frame(frame)
        frame.release()
        view.release()
        if self.closed:
            return
        if not taken:
            self._held = True
            return
        self._large = None
        self.frame_since_ms = 0
        self.shared.pool.give(buffer)

    def resume(self) -> None:
        """Offer the frame that was left, and those after it, again."""
        if self.closed or not self._held:
            return
        self._held = False
        if self._large is not None:
            self._finish_large()
        elif self._tail:
            filled = len(self._tail)
            self.shared.scratch[:filled] = self._tail
            self._tail = b""
            self._take_frames(filled)
        self.resume_reading()

    @property
    def held(self) -> bool:
        return self._held

    def refuse_size(self, size: int, start: bytes) -> None:
        self.close(f"a frame of {size} bytes")

    # ---- sending
    def queue(self, piece: Piece) -> None:
        self._out.append(piece)
        self.out_bytes += len(piece)

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""
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
        """Send the leading pieces that are bytes; -1 when the socket took a part only."""
        out = self._out
        pieces: list[bytes | bytearray | memoryview] = []
        size = 0
        flags = 0
        for piece in out:
            if isinstance(piece, FileSlice):
                flags = MSG_MORE
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
        done = self._out_done + sent
        while out and done >= len(out[0]):
            done -= len(out.popleft())
        self._out_done = done
        return -1

    def _send_slice(self, piece: FileSlice) -> int:
        done = self._out_done
        rest = piece.size - done
        assert piece.file is not None
        if platform.sendfile is not None:
            sent = platform.sendfile(self.fd, piece.file.fd, piece.position + done, rest)
            if sent == 0:
                raise OSError("a log file ended within what was to be sent")
        else:
            chunk = piece.file.read(min(rest, PLAIN_CHUNK), piece.position + done)
            if not chunk:
                raise OSError("a log file ended within what was to be sent")
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
        """``reason`` is empty when the other side just left."""
        if self.closed:
            return
        self.closed = True
        self.shared.loop.remove(self.fd)
        try:
            self.sock.close()
        finally:
            if self._large is not None:
                self.shared.pool.give(self._large)
                self._large = None
            self._out.clear()
            self.out_bytes = 0
            self.on_closed(reason)


def _reason(error: OSError) -> str:
    """Empty when the other side just left, in whatever way."""
    return "" if isinstance(error, ConnectionError) else error.strerror or str(error)


def tune(sock: socket.socket, dead_after_ms: int = 0) -> None:
    """No delay for small writes; ``dead_after_ms`` gives up on a peer that acknowledges nothing
    for so long."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT") and dead_after_ms:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, dead_after_ms)
