"""The units of a value axis: how a value is written, at which steps ticks stand, and where a
logarithmic axis turns linear around zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from widgets import figures

_SECONDS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30,
    60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
)  # fmt: skip
_LOG_SECONDS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 86_400.0, 864_000.0)


def decimal_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.9999)


def count_step(rough: float) -> float:
    """Whole figures only."""
    return max(1.0, decimal_step(rough))


def byte_step(rough: float) -> float:
    """1, 2, 5, 10 ... 500 times a power of 1024."""
    if rough <= 1:
        return 1.0
    power = 1024.0 ** math.floor(math.log(rough) / math.log(1024))
    sizes = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024)
    return next((s * power for s in sizes if s * power >= rough * 0.9999), 1024 * power)


def duration_step(rough: float) -> float:
    """1, 2, 5, 10, 15, 30 s and min, then hours and days."""
    fitting = next((s for s in _SECONDS if s >= rough * 0.9999), None)
    return float(fitting) if fitting is not None else decimal_step(rough / 86_400) * 86_400


def exact_count(value: float | None) -> str:
    """12,345 exactly; a mean of few things keeps its decimals."""
    small = value is not None and value == value and abs(value) < 1000
    return figures.short(value) if small else figures.count(value)


def _decades(low: float, factor: float) -> tuple[float, ...]:
    return tuple(low * factor**i for i in range(16))


@dataclass(frozen=True, slots=True)
class Unit:
    """``text`` writes a value for legend and readout, ``tick`` one on the axis. ``log_values``
    are where ticks of a logarithmic axis may stand, above zero."""

    name: str
    text: Callable[[float | None], str]
    tick: Callable[[float | None], str]
    step: Callable[[float], float]
    smallest_top: float
    """The axis of an empty chart, or of one of zeros, reaches up to here."""
    linear_below: float
    """A logarithmic axis is linear between zero and this."""
    log_values: tuple[float, ...]


COUNT = Unit("count", exact_count, figures.short, count_step, 2.0, 1.0, _decades(1.0, 10.0))
RATE = Unit(
    "per second", figures.rate, lambda v: f"{figures.short(v)}/s", decimal_step, 1.0, 0.1,
    _decades(0.1, 10.0),
)  # fmt: skip
BYTES_PER_S = Unit(
    "bytes per second", figures.size_rate, figures.size_rate, byte_step, 1024.0, 1024.0,
    _decades(1024.0, 32.0),
)  # fmt: skip
DURATION = Unit(
    "seconds", figures.duration, figures.duration, duration_step, 1.0, 0.1, _LOG_SECONDS
)
