"""Who may lead (KIP-966): in-sync replicas, eligible ones, the last known leader; any other only
uncleanly."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from embedded_broker.core.controller.elections import change
from embedded_broker.core.metadata.image import NO_LEADER, PartitionImage
from embedded_broker.core.metadata.replay import changed

ID = UUID(int=5)


def partition(**values: object) -> PartitionImage:
    base = PartitionImage(ID, "t", 0, (1, 2, 3), (1, 2, 3), 1, 4, 9)
    return base._replace(**values)  # type: ignore[arg-type]


def moved(
    p: PartitionImage, isr: tuple[int, ...], alive: set[int], min_isr: int = 2, **how: object
) -> PartitionImage:
    record = change(p, isr, lambda r: r in alive, min_isr, **how)  # type: ignore[arg-type]
    return p if record is None else changed(p, record)


def test_that_the_first_living_in_sync_replica_follows_a_dead_leader() -> None:
    after = moved(partition(), (2, 3), {2, 3})
    assert (after.leader, after.isr, after.elr, after.leader_epoch, after.partition_epoch) == (
        2,
        (2, 3),
        (),
        5,
        10,
    )


def test_that_a_smaller_in_sync_set_alone_keeps_leader_and_epoch() -> None:
    after = moved(partition(), (1, 2), {1, 2})
    assert (after.leader, after.isr, after.leader_epoch, after.partition_epoch) == (
        1,
        (1, 2),
        4,
        10,
    )


def test_that_a_replica_that_leaves_below_min_insync_replicas_stays_eligible() -> None:
    one = moved(partition(isr=(1, 2)), (1,), {1})
    assert (one.isr, one.elr, one.leader) == ((1,), (2,), 1)
    none = moved(one, (), set())
    assert (none.isr, none.elr, none.leader, none.last_known_elr) == ((), (1, 2), NO_LEADER, (1,))


def test_that_an_eligible_replica_leads_when_nobody_is_in_sync() -> None:
    none = partition(isr=(), elr=(1, 2), leader=NO_LEADER, last_known_elr=(1,))
    assert moved(none, (), {3}).leader == NO_LEADER
    after = moved(none, (), {2, 3})
    assert (after.leader, after.isr, after.elr, after.recovering, after.last_known_elr) == (
        2,
        (2,),
        (1,),
        False,
        (),
    )


def test_that_enough_in_sync_replicas_end_the_eligibility_of_others() -> None:
    p = partition(isr=(1,), elr=(2,))
    after = moved(p, (1, 3), {1, 3})
    assert (after.isr, after.elr) == ((1, 3), ())


def test_that_a_replica_whose_disk_lost_something_is_in_neither_set() -> None:
    p = partition(isr=(1,), elr=(2,))
    after = moved(p, (), {3}, lost_data=(1,))
    assert (after.isr, after.elr, after.leader) == ((), (2,), NO_LEADER)
    assert moved(after, (), {2, 3}, lost_data=(2,)).elr == ()


def test_that_the_last_known_leader_leads_when_both_sets_are_empty_and_is_marked() -> None:
    p = partition(isr=(1,), elr=())
    gone = moved(p, (), {2, 3}, lost_data=(1,))
    assert (gone.isr, gone.elr, gone.leader, gone.last_known_elr) == ((), (), NO_LEADER, (1,))
    back = moved(gone, (), {1, 2, 3})
    assert (back.leader, back.isr, back.recovering, back.last_known_elr) == (1, (1,), True, ())


def test_that_any_other_replica_leads_only_where_unclean_election_is_allowed() -> None:
    p = partition(isr=(), elr=(1, 2), leader=NO_LEADER)
    assert moved(p, (), {3}).leader == NO_LEADER
    after = moved(p, (), {3}, unclean=True)
    assert (after.leader, after.isr, after.elr, after.recovering) == (3, (3,), (), True)
    clean = moved(p, (), {2, 3}, unclean=True)
    assert (clean.leader, clean.recovering) == (2, False)


def test_that_a_preferred_election_wants_the_first_replica_and_only_in_sync() -> None:
    p = partition(leader=2)
    assert moved(p, p.isr, {1, 2, 3}).leader == 2
    assert moved(p, p.isr, {1, 2, 3}, preferred=True).leader == 1
    assert moved(p, p.isr, {2, 3}, preferred=True).leader == 2
    behind = partition(leader=2, isr=(2, 3))
    assert change(behind, behind.isr, lambda r: True, 2, preferred=True) is None


def test_that_recovery_ends_when_the_leader_says_so() -> None:
    p = partition(isr=(1,), recovering=True)
    assert not moved(p, (1,), {1}, 1, recovered=True).recovering


@pytest.mark.parametrize("seed", range(20))
def test_that_in_sync_and_eligible_replicas_have_every_acknowledged_record(seed: int) -> None:
    """C7 on a model: replicas come and go, some disks lose everything, records are acknowledged
    by the strict rule."""
    rng = random.Random(seed)
    p, alive, min_isr = partition(), {1, 2, 3}, 2
    held: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}
    acknowledged: set[int] = set()
    number = 0
    for _ in range(300):
        replica = rng.choice((1, 2, 3))
        match rng.randrange(6):
            case 0 | 1 if p.leader != NO_LEADER:
                number += 1
                for member in p.isr:
                    held[member].add(number)
                if len(p.isr) >= min_isr:
                    acknowledged.add(number)
            case 2 if replica in alive:
                alive.discard(replica)
                lost = (
                    rng.random() < 0.3 and len(set(p.isr) | set(p.elr)) == 3
                )  # one at a time, of a full set
                if lost:
                    held[replica].clear()
                isr = tuple(r for r in p.isr if r != replica)
                p = moved(p, isr, alive, min_isr, lost_data=(replica,) if lost else ())
            case 3 if replica not in alive:
                alive.add(replica)
                p = moved(p, p.isr, alive, min_isr)
            case 4 if p.leader != NO_LEADER and replica in alive and replica not in p.isr:
                held[replica] = set(held[p.leader])
                p = moved(p, (*p.isr, replica), alive, min_isr)
            case 5 if p.leader != NO_LEADER and replica in p.isr and replica != p.leader:
                p = moved(p, tuple(r for r in p.isr if r != replica), alive, min_isr)
        if p.recovering:
            break  # a last known leader was taken: what it lacks is reported, not promised
        for member in (*p.isr, *p.elr):
            assert acknowledged <= held[member]
        assert not set(p.isr) & set(p.elr)
        assert p.leader == NO_LEADER or p.leader in p.isr
