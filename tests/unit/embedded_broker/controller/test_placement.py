from __future__ import annotations

from collections import Counter

import pytest

from embedded_broker.core.controller.placement import Candidate, place


def brokers(*racks: str | None) -> list[Candidate]:
    return [Candidate(n, rack, True) for n, rack in enumerate(racks, 1)]


@pytest.mark.parametrize("start", range(7))
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_that_leaders_and_replicas_are_spread_evenly(count: int, start: int) -> None:
    factor = min(3, count)
    placement = place(brokers(*[None] * count), 4 * count, factor, start)
    leaders = Counter(replicas[0] for replicas in placement)
    everywhere = Counter(r for replicas in placement for r in replicas)
    assert set(leaders.values()) == {4}
    assert max(everywhere.values()) - min(everywhere.values()) <= 2
    assert all(len(set(replicas)) == factor for replicas in placement)


@pytest.mark.parametrize("start", range(6))
def test_that_replicas_stand_in_as_many_racks_as_there_are(start: int) -> None:
    spots = brokers("a", "a", "b", "b", "c", "c")
    rack = {s.broker_id: s.rack for s in spots}
    for replicas in place(spots, 12, 3, start):
        assert len({rack[r] for r in replicas}) == 3


def test_that_fenced_brokers_follow_only_where_there_are_too_few_others() -> None:
    spots = [Candidate(1, None, True), Candidate(2, None, False), Candidate(3, None, True)]
    for replicas in place(spots, 6, 2, 0):
        assert 2 not in replicas
    for replicas in place(spots, 6, 3, 0):
        assert replicas[0] != 2
        assert replicas[2] == 2


def test_that_added_partitions_go_on_where_the_first_ended() -> None:
    spots = brokers(None, None, None)
    whole = place(spots, 6, 3, 4)
    assert whole == place(spots, 2, 3, 4) + place(spots, 4, 3, 4, first=2)
