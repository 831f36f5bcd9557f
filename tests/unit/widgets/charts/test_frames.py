"""Frames of arbitrary samples: no Qt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.widgets.charts.chart_kit import NOW, Store, every
from widgets.charts.frames import FrameMaker
from widgets.charts.model import Samples, Series
from widgets.charts.ticks import ValueScale
from widgets.charts.units import COUNT

A, B = Series("a", "a"), Series("b", "b")


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Stretches of different steps with outages between them; some values are no numbers."""
    steps = draw(st.lists(st.sampled_from((0.2, 1.0, 5.0, 10.0, 60.0, 600.0)), max_size=400))
    times = NOW - np.cumsum(np.array(steps))[::-1] if steps else np.zeros(0)
    strange = st.sampled_from((np.nan, np.inf, -np.inf, 0.0, -5.0, 1e18))
    values = draw(st.lists(st.floats(0, 1e6) | strange, min_size=len(times), max_size=len(times)))
    return times, np.array(values, dtype=np.float64)


@settings(max_examples=60, deadline=None)
@given(
    a=samples(),
    b=samples(),
    window_s=st.sampled_from((5.0, 60.0, 900.0, 86_400.0)),
    pixels=st.integers(2, 900),
    stacked=st.booleans(),
)
def test_that_any_samples_make_a_frame_within_their_values(
    a: Samples, b: Samples, window_s: float, pixels: int, stacked: bool
) -> None:
    maker = FrameMaker(Store(a=a, b=b).read, None)
    for t1 in (NOW - window_s / 3, NOW):  # the second frame uses what the first one kept
        frame = maker.make([A, B], t1 - window_s, t1, pixels, stacked)
        finite = np.concatenate([v[np.isfinite(v)] for v in (a[1], b[1])])
        for curve in frame.curves:
            assert len(curve.times) == len(curve.values) <= 3 * max(pixels, 2) + 2 * 700
        if frame.empty:
            continue
        assert frame.low >= (2 if stacked else 1) * min(finite.min(), 0.0) - 1e-6
        assert frame.high <= (2 if stacked else 1) * max(finite.max(), 0.0) * (1 + 1e-9) + 1e-6
        bottom, top = ValueScale(COUNT).bounds(frame.low, frame.high, 4)
        assert np.isfinite((bottom, top)).all() and bottom < top


@settings(max_examples=40, deadline=None)
@given(a=samples(), pixels=st.integers(20, 900), moves=st.lists(st.floats(-1, 1), max_size=6))
def test_that_a_frame_does_not_depend_on_the_frames_before(
    a: Samples, pixels: int, moves: list[float]
) -> None:
    """Panning and following over the same samples draws what a new chart would draw."""
    store, window_s = Store(a=a), 3600.0
    kept = FrameMaker(store.read, None)
    t1 = NOW
    for move in (*moves, 0.0):
        t1 += move * window_s
        for stacked in (False, True):
            used = kept.make([A], t1 - window_s, t1, pixels, stacked)
            new = FrameMaker(store.read, None).make([A], t1 - window_s, t1, pixels, stacked)
            assert (used.low, used.high) == pytest.approx((new.low, new.high), nan_ok=True)


def test_that_a_column_that_was_left_behind_by_panning_is_there_again() -> None:
    times = np.arange(NOW - 2400, NOW + 1, 600, dtype=np.float64)
    kept = FrameMaker(Store(a=(times, np.zeros(5))).read, None)
    for t1 in (NOW - 2250, NOW + 1350):
        kept.make([A], t1 - 3600, t1, 20, True)
    frame = kept.make([A], NOW - 5850, NOW - 2250, 20, True)
    assert (frame.low, frame.high) == (0, 0)


def test_that_a_lone_sample_is_drawn_and_counts() -> None:
    maker = FrameMaker(Store(a=(np.array([NOW - 5]), np.array([3.0]))).read, None)
    frame = maker.make([A], NOW - 60, NOW, 600, False)
    assert frame.curves[0].values.tolist() == [3.0]
    assert frame.statistics["a"].last == 3.0


def test_that_a_series_that_is_late_in_a_round_does_not_dip_the_stack() -> None:
    """Sampled every 5 s, one of them 3 s after the other: the newest column has only one."""
    early, late = every(5, 300, 0, 10.0), every(5, 297, 2, 20.0)
    late = (late[0][:-1], late[1][:-1])
    frame = FrameMaker(Store(a=early, b=late).read, None).make([A, B], NOW - 300, NOW, 600, True)
    top = frame.curves[1].values
    known = top[np.isfinite(top)]
    assert known[-1] == pytest.approx(30.0)


def test_that_more_than_a_hundred_lines_have_half_the_columns() -> None:
    store = Store(**{str(i): every(1, 3600, 0, float(i)) for i in range(101)})
    many = [Series(str(i), str(i)) for i in range(101)]
    frame = FrameMaker(store.read, None).make(many, NOW - 3600, NOW, 800, False)
    few = FrameMaker(store.read, None).make(many[:50], NOW - 3600, NOW, 800, False)
    assert len(frame.curves[0].times) < 0.6 * len(few.curves[0].times)
