"""Which changes the Overview has not shown yet."""

from __future__ import annotations

from gui.overview.page import changes_after
from kafka_client.changes import Change, ChangeKind


def change(at_s: float) -> Change:
    return Change(at_s, ChangeKind.BROKER_DOWN, "Broker 1 is down")


def test_that_a_change_after_the_clock_was_set_back_is_new() -> None:
    first, second = change(1000.0), change(10.0)
    assert changes_after(None, [first]) == [first]
    assert changes_after(first, [first, second]) == [second]
    assert changes_after(second, [first, second]) == []


def test_that_all_changes_are_new_once_the_last_one_was_dropped() -> None:
    first, second = change(1000.0), change(1001.0)
    assert changes_after(first, [second]) == [second]
    assert changes_after(change(1001.0), [second]) == [second], "equal is not the same"
