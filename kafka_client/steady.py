"""A clock for intervals: no step of the wall clock moves it, and it counts while the computer
sleeps, so that a rate over a night is not taken for one over a second."""

from __future__ import annotations

import sys
import time

_SLEEPS_TOO = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux stops CLOCK_MONOTONIC while it sleeps; macOS has no other and counts on."""


def steady_s() -> float:
    """Seconds since some moment before this process began; never goes back."""
    if sys.platform == "win32" or _SLEEPS_TOO is None:
        return time.monotonic()
    return time.clock_gettime(_SLEEPS_TOO)
