"""Gaps, outages and thinning: no Qt."""

from __future__ import annotations

import numpy as np
import pytest

from widgets.charts import scale
from widgets.charts.columns import Columns, statistics

START = 1_700_000_000.0


def every(step_s: float, count: int, start: float = START) -> np.ndarray:
    return start + np.arange(count) * step_s


def test_that_runs_are_the_stretches_without_a_gap() -> None:
    values = np.array([np.nan, 1, 2, np.nan, 3])
    assert scale.runs(values) == [(1, 3), (4, 5)]
    assert scale.runs(np.ones(3)) == [(0, 3)] and scale.runs(np.zeros(0)) == []


def test_that_two_minutes_without_samples_are_an_outage() -> None:
    times = np.concatenate((every(1, 60), every(1, 60, START + 180)))
    assert scale.breaks(times).tolist() == [59]
    gap_times, gap_values = scale.with_gaps(times, np.ones(120))
    assert np.isnan(gap_values[60]) and np.isfinite(gap_values).sum() == 120
    assert times[59] < gap_times[60] < times[60]


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_that_coarse_samples_beside_fine_ones_are_one_curve(jitter: float) -> None:
    """Means of 1 min, then of 10 s, then samples of 1 s: no step of them is an outage."""
    minutes, tens = every(60, 100), every(10, 300, START + 6000)
    times = np.concatenate((minutes, tens, every(1, 600, START + 9000)))
    times = times + np.random.default_rng(1).uniform(0, jitter, len(times))
    assert not len(scale.breaks(times))


def test_that_an_outage_between_two_densities_is_seen() -> None:
    times = np.concatenate((every(10, 100), every(1, 100, START + 1200)))
    assert scale.breaks(times).tolist() == [99]


def test_that_one_late_sample_is_no_outage() -> None:
    times = np.concatenate((every(1, 30), every(1, 30, START + 32)))
    assert not len(scale.breaks(times))


def test_that_the_readout_is_empty_in_a_gap() -> None:
    times, values = every(1, 10), np.arange(10.0)
    assert scale.sampled_at(times, values, START + 4.2, 1.0) == 4.0
    assert np.isnan(scale.sampled_at(times, values, START + 30, 1.0))


def test_that_others_are_the_total_less_those_shown() -> None:
    times = every(1, 5)
    total, shown = (times, np.full(5, 10.0)), (times + 0.2, np.full(5, 4.0))
    _, values = scale.sum_of([total], [shown])
    assert values.tolist() == [6.0] * 5
    _, values = scale.sum_of([shown], [total])
    assert values.tolist() == [0.0] * 5, "never below zero"


def test_that_no_peak_is_lost_when_samples_are_thinned() -> None:
    times = every(1, 36_000)
    values = np.zeros(36_000)
    values[17_777], values[20_001] = 99.0, -5.0
    columns = Columns(60.0)
    columns.update(times, values, START)
    thin_times, thin = columns.line(START, START + 36_000)
    assert len(thin_times) <= 2 * 601
    assert thin.max() == 99.0 and thin.min() == -5.0
    known = columns.statistics(START, START + 36_000)
    assert (known.low, known.high) == (-5.0, 99.0)
    assert known.mean == pytest.approx(values.mean())


def test_that_columns_grow_as_if_they_were_made_at_once() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(START + rng.uniform(0, 3600, 5000))
    times = times[(times < START + 1000) | (times > START + 1300)]
    values = rng.normal(0, 1, len(times))
    values[200:260] = np.nan
    grown, at_once = Columns(7.0), Columns(7.0)
    for end in (500, 501, 520, 2000, len(times)):
        grown.update(times[:end], values[:end], START)
    at_once.update(times, values, START)
    for name in ("at", "low", "high", "total", "count", "after_gap"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(at_once, name), name)


def test_that_columns_go_on_when_the_clock_was_set_back_within_the_window() -> None:
    columns = Columns(2.0)
    columns.update(START + np.arange(100.0), np.zeros(100), START)
    set_back = START + np.arange(41.0)
    columns.update(set_back, np.ones(41), START)
    assert columns.at[-1] == (START + 40) // 2 and columns.statistics(START, START + 50).mean == 1


def test_that_columns_stand_still_while_the_window_moves() -> None:
    """The same samples fall into the same columns, so that edges do not shimmer."""
    times, values = every(1, 1000), np.random.default_rng(1).normal(0, 1, 1000)
    columns = Columns(4.0)
    columns.update(times[:900], values[:900], START)
    before = dict(zip(columns.at.tolist(), columns.high.tolist(), strict=True))
    columns.update(times[37:], values[37:], START + 37)
    after = dict(zip(columns.at.tolist(), columns.high.tolist(), strict=True))
    complete = set(list(before)[:-1])
    assert complete and all(after[at] == before[at] for at in complete)


def test_that_an_area_ends_where_its_samples_end() -> None:
    """Two minutes without samples stay empty up to a column, and the end is carried on a little."""
    times = np.concatenate((every(1, 300), every(1, 100, START + 420)))
    columns = Columns(2.0)
    columns.update(times, np.full(400, 5.0), START)
    first, last = int(START // 2), int((START + 540) // 2)
    means = columns.means(first, last, carry_s=6.0)
    at = (np.arange(first, last + 1)) * 2.0 - START
    assert np.isnan(means[(at > 300) & (at < 420)]).all()
    assert (means[(at < 299) | ((at >= 420) & (at < 519))] == 5.0).all()
    assert np.isnan(means[at > 528]).all()


def test_that_sparse_samples_are_joined_by_straight_lines() -> None:
    columns = Columns(1.0)
    columns.update(every(10, 6), np.arange(6.0) * 10, START)
    means = columns.means(int(START), int(START) + 50, carry_s=0.0)
    np.testing.assert_allclose(means, np.arange(51.0))


def test_that_statistics_are_of_the_range_alone() -> None:
    times, values = every(1, 100), np.arange(100.0)
    values[50] = np.nan
    known = statistics(times, values, START + 40, START + 60)
    assert (known.low, known.high, known.last) == (40.0, 60.0, 60.0)
    assert np.isnan(statistics(times, values, START + 500, START + 600).mean)
