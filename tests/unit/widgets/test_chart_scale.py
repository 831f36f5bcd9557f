from __future__ import annotations

import numpy as np

from widgets import chart_scale as scale


def test_that_no_peak_is_lost_when_samples_are_thinned() -> None:
    times = np.arange(36_000, dtype=float)
    values = np.zeros(36_000)
    values[17_777] = 99.0
    values[20_001] = -5.0
    thin_t, thin_v = scale.peaks(times, values, 0.0, 36_000.0, 600)
    assert len(thin_t) <= 1200
    assert thin_v.max() == 99.0 and thin_v.min() == -5.0


def test_that_a_gap_stays_a_gap_on_the_grid() -> None:
    times = np.arange(10, dtype=float)
    values = np.where((times > 3) & (times < 8), np.nan, times)
    out = scale.on_grid(times, values, np.array([1.0, 5.5, 9.0]), 1.5)
    assert out[0] == 1.0 and np.isnan(out[1]) and out[2] == 9.0


def test_that_tops_and_ticks_are_round() -> None:
    for largest in (0.0, 0.3, 7.0, 93.0, 1234.0, 5e7):
        top = scale.nice_top(largest, 1.0)
        assert top >= largest
        ticks = scale.value_ticks(top)
        assert ticks[0] == 0 and 2 <= len(ticks) <= 6 and ticks[-1] <= top * 1.000001


def test_that_runs_are_the_stretches_without_a_gap() -> None:
    values = np.array([np.nan, 1, 2, np.nan, 3])
    assert scale.runs(values) == [(1, 3), (4, 5)]
