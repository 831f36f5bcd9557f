"""Choose the wait before the next try: short at first, since most outages are short, then
longer and longer."""

from __future__ import annotations

import random

GROWTH = 1.6
SOON_S = 2.0
SOON_TRIES = 12


def wait_s(failures: int, first_s: float, most_s: float, rng: random.Random) -> float:
    """Seconds to wait after ``failures`` earlier failures in a row (0 after the first).

    Grows from ``first_s`` to at most SOON_S for the first SOON_TRIES tries (about twenty seconds),
    then up to ``most_s``; up to a fifth shorter at random, so that clients do not come in step.
    """
    if failures < SOON_TRIES:
        wait = min(first_s * GROWTH**failures, SOON_S)
    else:
        wait = SOON_S * GROWTH ** min(failures - SOON_TRIES + 1, 50)
    return min(wait, most_s) * rng.uniform(0.8, 1.0)
