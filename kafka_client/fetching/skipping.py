"""Find where a partition can be read again, when a broker sends no batch at an offset, or one whose
length is not to be believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Probe = Callable[[int], Awaitable[int | None]]
"""The first offset of the batch that holds this offset, or else of the next batch; None when that
batch cannot be read either."""


async def find_readable(bad: int, end: int, probe: Probe) -> int:
    """The first offset after ``bad`` from which on batches can be read, or ``end``.

    Steps that double, and then halves, as a broker looks for an offset from an entry of its index
    on: behind the next entry the damage is passed. About 2 log2(end - bad) probes.
    """
    failed, found, step = bad, end, 1
    while failed + step < end:
        asked = failed + step
        first = await probe(asked)
        if first is not None:
            found = max(failed + 1, min(first, asked))
            break
        failed, step = asked, step * 2
    while found - failed > 1:
        middle = (failed + found) // 2
        first = await probe(middle)
        if first is None:
            failed = middle
        else:
            found = max(failed + 1, min(first, middle))
    return found
