"""Ring buffers of samples whose newest part is always one contiguous piece of memory.

A ring of capacity n keeps 2n slots and writes each sample twice, at i and at i + n. Whatever the
write position, the last k samples lie side by side in one of the two halves, so a chart takes a
window without copying.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIRST_CAPACITY = 64


class Ring:
    """Samples (time, value) in the order of time: float64 seconds since the epoch, float64 value,
    NaN for a gap.

    One writer, any number of readers. A view stays valid memory; a reader that keeps one for a
    whole turn of the ring may see its oldest samples replaced by newer ones. The ring starts small
    and doubles its memory up to ``capacity``.
    """

    __slots__ = ("_capacity", "_size", "_slots", "_times", "_values", "_written")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a ring holds at least one sample")
        self._capacity = capacity
        self._slots = min(capacity, FIRST_CAPACITY)
        self._times: Floats = np.full(2 * self._slots, np.nan)
        self._values: Floats = np.full(2 * self._slots, np.nan)
        self._written = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def full(self) -> bool:
        return self._size == self._capacity

    @property
    def nbytes(self) -> int:
        return self._times.nbytes + self._values.nbytes

    def append(self, t: float, value: float) -> None:
        """Add a sample; when the ring is full, the oldest is overwritten."""
        if self._size == self._slots and self._slots < self._capacity:
            self._grow()
        at = self._written % self._slots
        self._times[at] = self._times[at + self._slots] = t
        self._values[at] = self._values[at + self._slots] = value
        self._written += 1
        self._size = min(self._size + 1, self._slots)

    def views(self) -> tuple[Floats, Floats]:
        """(times, values), oldest first, both shape (len,), without a copy. Do not write to
        them."""
        if self._size < self._slots:
            start = 0
        else:
            start = self._written % self._slots
        stop = start + self._size
        return self._times[start:stop], self._values[start:stop]

    def until(self, t: float) -> Ring:
        """A new ring with the samples before ``t``. Readers of this one are not disturbed."""
        kept = Ring(self._capacity)
        times, values = self.views()
        for at, value in zip(times.tolist(), values.tolist(), strict=True):
            if at < t:
                kept.append(at, value)
        return kept

    def _grow(self) -> None:
        times, values = self.views()
        slots = min(self._slots * 2, self._capacity)
        new_times: Floats = np.full(2 * slots, np.nan)
        new_values: Floats = np.full(2 * slots, np.nan)
        count = len(times)
        for half in (0, slots):
            new_times[half : half + count] = times
            new_values[half : half + count] = values
        self._times, self._values = new_times, new_values
        self._slots, self._written = slots, count
