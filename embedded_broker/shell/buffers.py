"""Memory for frames that are being received: reused, grown with what has come, and bounded in all.

A connection announces up to 100 MiB with four bytes; nothing is allotted for an announcement
(CVE-2022-34917).
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_BYTES = 128 * 1024
KEPT_BYTES = 12 * 1024 * 1024


class BufferPool:
    """Buffers for large frames. ``in_use`` over ``limit`` makes connections wait until others
    have finished."""

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self.limit = limit
        self.in_use = 0
        self._free: list[bytearray] = []
        self._kept = 0
        self._waiting: list[Callable[[], None]] = []

    def take(self, size: int) -> bytearray:
        """A buffer to receive up to ``size`` bytes into; it may be shorter, then ``grow`` it as
        they come."""
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

    def grow(self, buffer: bytearray, size: int) -> None:
        """Double it, or make it as long as ``size`` needs if that is less."""
        more = min(len(buffer), round_up(size) - len(buffer))
        buffer += bytes(more)
        self.in_use += more

    def give(self, buffer: bytearray) -> None:
        """Back for reuse; unless something still looks at it, then it is left to that."""
        self.in_use -= len(buffer)
        if self._kept + len(buffer) <= KEPT_BYTES:
            try:
                buffer.append(0)
                buffer.pop()
            except BufferError:
                pass  # a view of it lives on: it cannot be written into again
            else:
                self._kept += len(buffer)
                self._free.append(buffer)
        if self._waiting and self.in_use < self.limit:
            waiting, self._waiting = self._waiting, []
            for resume in waiting:
                resume()

    @property
    def exhausted(self) -> bool:
        return self.in_use >= self.limit

    def when_free(self, resume: Callable[[], None]) -> None:
        self._waiting.append(resume)

    def trim(self) -> None:
        """Give everything unused back to the system."""
        self._free.clear()
        self._kept = 0


def round_up(size: int) -> int:
    return 1 << max(16, (size - 1).bit_length())
