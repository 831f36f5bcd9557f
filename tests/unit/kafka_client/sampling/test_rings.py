from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_client.sampling.rings import Ring
from kafka_client.sampling.store import COARSE_S, FINE_SAMPLES, SeriesStore


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 100, 128, 129, 1000])
def test_that_a_ring_gives_its_newest_samples_in_order_as_one_piece(count):
    ring = Ring(100)
    for i in range(count):
        ring.append(float(i), float(i * 2))
    times, values = ring.views()
    kept = list(range(max(0, count - 100), count))
    assert times.tolist() == kept
    assert values.tolist() == [2 * i for i in kept]
    assert len(ring) == len(kept)


def test_that_a_window_is_a_view_and_no_copy():
    store = SeriesStore()
    for i in range(50):
        store.append(("rate",), float(i), 1.0)
    times, values = store.window(("rate",), 10.0, 19.5)
    assert times.tolist() == list(range(10, 20))
    assert times.base is not None and values.base is not None


def test_that_an_older_sample_is_dropped_and_a_gap_is_marked_once():
    store = SeriesStore()
    store.append(("lag", "g"), 5.0, 1.0)
    store.append(("lag", "g"), 4.0, 9.0)
    store.gap(("lag", "g"), 6.0)
    store.gap(("lag", "g"), 7.0)
    times, values = store.window(("lag", "g"), 0, 10)
    assert times.tolist() == [5.0, 6.0]
    assert np.isnan(values[1])
    assert store.last(("lag", "g")) == (5.0, 1.0)


def test_that_samples_older_than_the_fine_ring_stay_as_means():
    store = SeriesStore()
    for i in range(FINE_SAMPLES + 100):
        store.append(("rate",), 1000.0 + i, float(i // 10))
    times, values = store.window(("rate",), 0.0, 1e9)
    assert len(times) == FINE_SAMPLES + 9
    assert times[0] == 1000.0 + COARSE_S / 2
    assert values[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.all(np.diff(times) > 0)


def test_that_series_are_found_by_prefix_and_partitions_sort_as_numbers():
    store = SeriesStore()
    for partition in (10, 2, 1):
        store.append(("lag", "g", "t", partition), 1.0, 1.0)
    store.append(("lag", "h"), 1.0, 1.0)
    assert store.keys("lag", "g") == [
        ("lag", "g", "t", 1),
        ("lag", "g", "t", 2),
        ("lag", "g", "t", 10),
    ]
    store.forget("lag", "g")
    assert list(store) == [("lag", "h")]


def test_that_an_unknown_series_is_an_empty_window():
    times, values = SeriesStore().window(("no",), 0, 1)
    assert len(times) == len(values) == 0


series_keys = st.tuples(
    st.sampled_from(["lag", "rate"]),
    st.sampled_from("gh"),
    st.sampled_from("tu"),
    st.integers(0, 3),
)
prefixes = series_keys.flatmap(lambda key: st.integers(0, 4).map(lambda length: key[:length]))


@given(st.lists(st.tuples(st.booleans(), prefixes), max_size=60), prefixes)
def test_that_keys_and_forget_by_prefix_agree_with_a_scan(steps, requested):
    store, expected = SeriesStore(), set()
    for is_append, key in steps:
        if is_append:
            store.append(key, 1.0, 1.0)
            expected.add(key)
        else:
            store.forget(*key)
            expected = {other for other in expected if other[: len(key)] != key}
    assert set(store.keys(*requested)) == {
        key for key in expected if key[: len(requested)] == requested
    }
    assert set(store.keys(longest=2)) == {key for key in expected if len(key) <= 2}
    for key in expected:
        store.forget(*key)
    assert len(store) == 0 and not any(store._children.values()), "the tree has leaves left"


def test_that_a_prefix_costs_what_lies_under_it_and_not_the_whole_store():
    class NotToBeScanned(dict[Any, Any]):
        def __iter__(self):
            raise AssertionError("every series was looked at")

        keys = values = items = __iter__

    store = SeriesStore()
    for group in ("g", "h"):
        store.append(("lag", group), 1.0, 1.0)
        store.append(("lag", group, "t"), 1.0, 1.0)
    store._series = NotToBeScanned(store._series)
    assert store.keys("lag", "g") == [("lag", "g"), ("lag", "g", "t")]
    store.mark_gaps(2.0, "lag", "g")
    assert np.isnan(store.window(("lag", "g", "t"), 0, 9)[1][-1])
    assert not np.isnan(store.window(("lag", "h"), 0, 9)[1][-1])
    store.forget("lag", "g")
    assert store.keys("lag") == [("lag", "h"), ("lag", "h", "t")]


def test_that_a_series_goes_on_when_the_clock_was_set_back():
    store = SeriesStore()
    for i in range(FINE_SAMPLES + 100):
        store.append(("rate",), 10_000.0 + i, float(i))
    for i in range(20):
        store.append(("rate",), 11_000.0 + i, -1.0)
    times, values = store.window(("rate",), 0.0, 1e6)
    assert np.all(np.diff(times) > 0) and times[-1] == 11_019.0
    assert values[-20:].tolist() == [-1.0] * 20
    assert store.last(("rate",)) == (11_019.0, -1.0)
    store.append(("rate",), 1000.0, 5.0)
    assert store.window(("rate",), 0.0, 1e6)[0].tolist() == [1000.0]


def test_that_a_sample_that_comes_a_little_late_is_dropped():
    store = SeriesStore()
    store.append(("rate",), 100.0, 1.0)
    store.append(("rate",), 99.0, 2.0)
    assert store.window(("rate",), 0.0, 1e6)[1].tolist() == [1.0]
