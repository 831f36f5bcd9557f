"""Buffers for large frames: reused, grown with the bytes received, and bounded in total.

Four bytes announce a frame of up to 100 MiB. No memory is allocated for the announcement alone
(CVE-2022-34917). Used from the event loop only.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_BYTES = 128 * 1024
KEPT_BYTES = 12 * 1024 * 1024
"""Free buffers kept for reuse, in total."""


class BufferPool:
    """Hands out buffers. While ``in_use`` is at or above ``limit`` bytes, connections wait until
    others have received their frames. One buffer may grow all the same: halves of frames would
    otherwise wait for each other."""

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self.limit = limit
        self.in_use = 0
        self._free: list[bytearray] = []
        self._kept = 0
        self._waiting: list[Callable[[], None]] = []
        self._exempt: bytearray | None = None
        """The buffer that may grow above the limit."""

    def take(self, size: int) -> bytearray:
        """Return a buffer for a frame of ``size`` bytes. It may be shorter: ``grow`` it when it is
        full."""
        best = -1
        for i, buffer in enumerate(self._free):
            if len(buffer) >= size and (best < 0 or len(buffer) < len(self._free[best])):
                best = i
        if best >= 0:
            found = self._free.pop(best)
            self._kept -= len(found)
        else:
            found = bytearray(min(FIRST_BYTES, round_up(size)))
        self.in_use += len(found)
        return found

    def may_grow(self, buffer: bytearray) -> bool:
        """Return whether its connection need not wait. Above the limit that is the first to ask,
        until it gives its buffer back."""
        if self.in_use < self.limit:
            return True
        if self._exempt is None:
            self._exempt = buffer
        return self._exempt is buffer

    def grow(self, buffer: bytearray, size: int) -> None:
        """Double the buffer, or extend it to what ``size`` needs if that is less."""
        more = min(len(buffer), round_up(size) - len(buffer))
        buffer += bytes(more)
        self.in_use += more

    def give(self, buffer: bytearray) -> None:
        """Take a buffer back for reuse. One that a view still refers to is left to that view."""
        self.in_use -= len(buffer)
        was_exempt = buffer is self._exempt
        if was_exempt:
            self._exempt = None
        if self._kept + len(buffer) <= KEPT_BYTES:
            try:
                # A bytearray with a view refuses to change its size: the only way to ask.
                buffer.append(0)
                buffer.pop()
            except BufferError:
                pass  # its bytes belong to the view
            else:
                self._kept += len(buffer)
                self._free.append(buffer)
        if self._waiting and (was_exempt or self.in_use < self.limit):
            waiting, self._waiting = self._waiting, []
            for resume in waiting:
                resume()

    @property
    def exhausted(self) -> bool:
        """Return whether connections have to wait."""
        return self.in_use >= self.limit

    def when_free(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` once, when it is worth while to ask again."""
        self._waiting.append(resume)

    def trim(self) -> None:
        """Free the unused buffers."""
        self._free.clear()
        self._kept = 0


def round_up(size: int) -> int:
    """The next power of two, at least 64 KiB: few sizes, so that buffers fit other frames."""
    return 1 << max(16, (size - 1).bit_length())
