"""Where axes have their ticks, and what is written there."""

from __future__ import annotations

import math
from calendar import timegm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.charts.ticks import Ticks, ValueScale, time_ticks
from widgets.charts.units import BYTES_PER_S, COUNT, DURATION, RATE, Unit
from widgets.time_style import LOCAL, RELATIVE, UTC, TimeStyle

NOON = float(timegm((2023, 11, 14, 12, 0, 0)))
UNITS = (BYTES_PER_S, COUNT, DURATION, RATE)


def labels(ticks: Ticks) -> list[str]:
    return [label for _, label in ticks]


def value_labels(unit: Unit, high: float, low: float = math.nan, log: bool = False) -> list[str]:
    scale = ValueScale(unit, log)
    return labels(scale.ticks(*scale.bounds(low, high, 4), 4))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
@pytest.mark.parametrize("log", [False, True])
@given(
    high=st.floats(-1e3, 1e12) | st.just(math.nan),
    low=st.floats(-1e9, 0) | st.just(math.nan),
    most=st.integers(2, 6),
)
def test_that_no_axis_repeats_a_label(
    unit: Unit, log: bool, high: float, low: float, most: int
) -> None:
    if high == high:
        low = min(high, low) if low == low else high
    scale = ValueScale(unit, log)
    bottom, top = scale.bounds(low, high, most)
    ticks = scale.ticks(bottom, top, most)
    assert len(set(labels(ticks))) == len(ticks) >= 1
    assert all(bottom - 1e-6 <= place <= top * (1 + 1e-9) + 1e-6 for place, _ in ticks)
    for value in (low, high):
        if value == value:
            assert bottom <= scale.place_of(value) * (1 + 1e-9) + 1e-6 or value > 0
            assert scale.place_of(value) <= top * (1 + 1e-9) + 1e-6


def test_that_an_empty_chart_of_counts_has_whole_figures() -> None:
    assert value_labels(COUNT, math.nan) == ["0", "1", "2"]
    assert value_labels(COUNT, 3.0) == ["0", "1", "2", "3"]


def test_that_durations_have_steps_of_a_clock() -> None:
    assert value_labels(DURATION, 110.0) == ["0 s", "30 s", "1 min", "1 min 30 s", "2 min"]
    assert value_labels(DURATION, 5.0 * 3600) == ["0 s", "2 h", "4 h", "6 h"]
    assert value_labels(DURATION, 45.0) == ["0 s", "15 s", "30 s", "45 s"]


def test_that_bytes_have_steps_of_1024() -> None:
    assert value_labels(BYTES_PER_S, 3.5 * 1024**2) == [
        "0 B/s", "1 MiB/s", "2 MiB/s", "3 MiB/s", "4 MiB/s",
    ]  # fmt: skip


def test_that_values_below_zero_have_ticks() -> None:
    assert value_labels(COUNT, 40.0, -40.0) == ["-40", "-20", "0", "20", "40"]


def test_that_a_logarithmic_axis_has_decades_and_a_place_for_zero() -> None:
    assert value_labels(COUNT, 90_000.0, log=True) == ["0", "10", "1 k", "100 k"]
    scale = ValueScale(COUNT, log=True)
    places = scale.place(np.array([0.0, 9.0, 99.0, -9.0, np.nan]))
    assert places[:4].tolist() == pytest.approx([0.0, 1.0, 2.0, -1.0]) and np.isnan(places[4])


def test_that_times_are_round_and_say_the_day_at_midnight() -> None:
    style = TimeStyle(UTC)
    assert labels(time_ticks(NOON, NOON + 100, 4, style, NOON)) == [
        "12:00:00", "12:00:30", "12:01:00", "12:01:30",
    ]  # fmt: skip
    assert labels(time_ticks(NOON, NOON + 86_400, 4, style, NOON)) == [
        "12:00", "18:00", "15 Nov", "06:00", "12:00",
    ]  # fmt: skip
    assert labels(time_ticks(NOON, NOON + 7 * 86_400, 4, style, NOON))[0] == "15 Nov"


def test_that_relative_times_count_from_now() -> None:
    style = TimeStyle(RELATIVE)
    assert labels(time_ticks(NOON - 300, NOON, 5, style, NOON)) == [
        "-5 min", "-4 min", "-3 min", "-2 min", "-1 min", "now",
    ]  # fmt: skip


@given(st.floats(0, 86_400), st.floats(5, 40 * 86_400), st.integers(1, 12))
def test_that_time_ticks_are_few_rising_and_inside(start: float, length: float, most: int) -> None:
    for name in (LOCAL, UTC, RELATIVE):
        ticks = time_ticks(NOON + start, NOON + start + length, most, TimeStyle(name), NOON)
        moments = [at for at, _ in ticks]
        assert moments == sorted(set(moments)) and len(moments) <= most + 2
        assert all(NOON + start - 1 <= at <= NOON + start + length + 1 for at in moments)
