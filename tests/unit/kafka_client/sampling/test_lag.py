import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_client.model import Group, GroupStatus, Member
from kafka_client.sampling.groups import GroupTracker
from kafka_client.sampling.lag import (
    OffsetHistory,
    catch_up_s,
    group_status,
    lag_records,
    lag_seconds,
    partition_status,
)
from kafka_client.sampling.rates import RateMeter
from kafka_client.sampling.store import SeriesStore


def history(*points):
    made = OffsetHistory()
    for t, offset in points:
        made.add(t, offset)
    return made


def test_that_lag_is_never_below_zero_and_unknown_when_a_part_is():
    assert lag_records(7, 10) == 3
    assert lag_records(12, 10) == 0
    assert lag_records(None, 10) is None
    assert lag_records(1, None) is None


def test_that_the_age_of_a_record_is_interpolated_between_two_samples():
    past = history((100.0, 0), (110.0, 100))
    assert past.time_of(50) == pytest.approx(105.0)
    assert lag_seconds(120.0, 50, 100, past) == pytest.approx(15.0)
    assert lag_seconds(120.0, 100, 100, past) == 0.0


def test_that_a_pause_of_the_producer_does_not_make_records_look_older():
    past = history((0.0, 10), (100.0, 10), (101.0, 20))
    assert past.time_of(15) == pytest.approx(100.5)


def test_that_a_record_before_the_history_has_no_age_until_an_anchor_gives_one():
    past = history((100.0, 1000), (110.0, 1100))
    assert past.time_of(10) is None
    past.anchor(0, 0.0)
    assert past.time_of(500) == pytest.approx(50.0)
    past.anchor(700, 50.0)
    assert past.time_of(500) == pytest.approx(50.0)


def test_that_a_topic_created_again_starts_a_new_history():
    past = history((0.0, 0), (1.0, 100), (2.0, 5), (3.0, 10))
    assert past.time_of(4) is None
    assert past.time_of(7) == pytest.approx(2.4)


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 50)), min_size=2, max_size=1500))
def test_that_a_long_history_stays_bounded_and_in_order(steps):
    past, t, offset = OffsetHistory(), 0.0, 0
    for dt, more in steps:
        t, offset = t + dt, offset + more
        past.add(t, offset)
    written = past.time_of(offset - 1)
    assert written is None or 0 <= written <= t
    assert len(past._times) <= 512


def samples(committed, ends):
    return [(float(i), c, e) for i, (c, e) in enumerate(zip(committed, ends, strict=True))]


@pytest.mark.parametrize(
    ("committed", "ends", "members", "expected"),
    [
        (range(20), range(20), True, GroupStatus.OK),
        ([0] * 20, range(1, 21), True, GroupStatus.STALLED),
        ([0] * 20, range(1, 21), False, GroupStatus.STOPPED),
        ([5] * 20, [5] * 20, False, GroupStatus.OK),
        (range(20), range(10, 70, 3), True, GroupStatus.BEHIND),
        ([10, 11, 3, 4], [20, 20, 20, 20], True, GroupStatus.REWOUND),
        ([i // 5 * 10 for i in range(30)], [20 + i * 2 for i in range(30)], True, GroupStatus.OK),
    ],
)
def test_that_the_status_of_a_partition_follows_its_rule(committed, ends, members, expected):
    assert partition_status(samples(committed, ends), members) is expected


def test_that_a_group_is_as_bad_as_its_worst_partition():
    assert (
        group_status([GroupStatus.OK, GroupStatus.STALLED, GroupStatus.BEHIND])
        is GroupStatus.STALLED
    )
    assert group_status([]) is GroupStatus.UNKNOWN


def test_that_catching_up_takes_lag_over_the_difference_of_speeds():
    assert catch_up_s(100, 5.0, 15.0) == 10.0
    assert catch_up_s(100, 15.0, 5.0) is None
    assert catch_up_s(0, 15.0, 5.0) == 0.0


def test_that_a_rate_needs_two_samples_and_forgets_what_left_its_window():
    meter = RateMeter(5.0)
    meter.add(0.0, 0)
    assert meter.per_s() is None
    for t in range(1, 11):
        meter.add(float(t), 10.0 * t if t <= 5 else 50.0)
    assert meter.per_s() == pytest.approx(0.0)
    meter.add(11.0, 3.0)
    assert meter.per_s() is None


@pytest.mark.parametrize(("behind", "expected"), [(10, GroupStatus.OK), (150, GroupStatus.LATE)])
def test_that_a_group_that_reads_what_is_minutes_old_is_late(behind, expected):
    """It keeps its distance: the lag in records neither grows nor is ever zero."""
    tracker = GroupTracker(SeriesStore())
    group, tp = (
        Group("g", "Stable", members=(Member("m", "c", "h", assignment=(("t", 0),)),)),
        ("t", 0),
    )
    for second in range(400):
        end, t = 1000 + second, float(second)
        tracker.add_end(t, tp, end)
        committed = {tp: (max(900, end - behind), "")}
        group = tracker.update(group, committed, {tp: (t, end)}, {tp: 1.0}, 1e9 + t, t, False)
    assert group.status is expected
    assert group.lag_seconds == pytest.approx(behind, abs=2)
