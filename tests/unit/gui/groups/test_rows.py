"""Rows of groups and members."""

from __future__ import annotations

import pytest

from gui.groups.rows import assignment_text, group_row, ranges, trend
from kafka_client.model import Group, GroupStatus, Member


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([0, 1, 2, 5], "0-2 5"), ([5, 2, 1, 0], "0-2 5"), ([1, 3, 5], "1 3 5")],
)
def test_that_runs_of_partitions_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_that_an_assignment_lists_the_partitions_of_each_topic() -> None:
    member = Member("m", "c", "/h", None, (("sms", 1), ("email", 0), ("email", 1)))
    assert assignment_text(member) == "email 0-1, sms 1"


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "text"),
    [
        (None, 1.0, "–"),
        (100.0, 97.0, "→ steady"),
        (20.0, 5.0, "↑ 15/s"),
        (5.0, 20.0, "↓ 15/s"),
    ],
)
def test_that_the_trend_is_the_difference_of_the_rates(
    rate_in: float | None, rate_out: float | None, text: str
) -> None:
    group = Group("g", "Stable", rate_in_per_s=rate_in, rate_out_per_s=rate_out)
    assert trend(group) == text


def test_that_a_group_without_members_does_not_catch_up() -> None:
    member = Member("m", "c", "/h")
    running = Group("g", "Stable", members=(member,), rate_out_per_s=9.0, catch_up_s=1.2)
    stopped = Group("g", "Empty", rate_out_per_s=9.0, catch_up_s=1.2)
    assert group_row(running).catch_up_s == 1.2
    assert group_row(stopped).catch_up_s is None


def test_that_a_group_has_the_status_of_the_vocabulary() -> None:
    row = group_row(Group("g", "Empty", status=GroupStatus.STOPPED))
    assert row.status.text == "stopped" and row.status.tone == "bad"
