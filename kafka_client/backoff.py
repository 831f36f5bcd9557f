"""How long to wait before trying again: soon at first, since most troubles are short, then more
and more rarely."""

from __future__ import annotations

import random

GROWTH = 1.6
SOON_S = 2.0
SOON_TRIES = 12


def wait_s(failures: int, first_s: float, most_s: float, dice: random.Random) -> float:
    """After this many failures in a row (0 is the first): from ``first_s``, at most 2 s for the
    first twelve tries (about twenty seconds), then up to ``most_s``; with jitter, so that not
    everybody comes at once."""
    if failures < SOON_TRIES:
        plain = min(first_s * GROWTH**failures, SOON_S)
    else:
        plain = SOON_S * GROWTH ** min(failures - SOON_TRIES + 1, 50)
    return min(plain, most_s) * dice.uniform(0.8, 1.0)
