"""Leader election of a partition: in-sync replicas first, then eligible leader
replicas, then the last known leader.

An eligible leader replica (ELR, KIP-966) left the in-sync set while that was smaller
than min.insync.replicas. Nothing has been acknowledged since, so it has every
acknowledged record. A replica whose disk may have lost records is in neither set. When
both are empty, the last leader may lead again, marked as recovering; any other replica
only where unclean election is enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from embedded_broker.core.metadata.image import NO_LEADER, PartitionImage
from embedded_broker.core.metadata.records import (
    LEADER_UNCHANGED,
    RECOVERED,
    RECOVERING,
    PartitionChangeRecord,
)


def change(
    p: PartitionImage,
    isr: Sequence[int],
    may_lead: Callable[[int], bool],
    min_isr: int,
    *,
    lost_data: Collection[int] = (),
    preferred: bool = False,
    unclean: bool = False,
    recovered: bool = False,
) -> PartitionChangeRecord | None:
    """Return the record that gives ``p`` a new in-sync set and, if needed, a new
    leader; None when nothing changes.

    ``may_lead`` tells whether a replica is alive and not shutting down; ``lost_data``
    are replicas whose disks lost records; ``preferred`` elects the first replica even
    when the current leader could go on; ``unclean`` allows any replica; ``recovered``
    ends the recovery after an unclean election.
    """
    isr = tuple(isr)
    elr = eligible(p, isr, min_isr, lost_data)
    leader, dirty = _elect(p, isr, elr, may_lead, preferred, unclean)
    if dirty:
        # The leader may lack acknowledged records: what the other replicas have counts
        # no more.
        isr, elr = (leader,), ()
    elif leader != NO_LEADER and leader not in isr:
        # Elected from the ELR: the new in-sync set starts with it, the rest stay
        # eligible.
        isr = (leader,)
        elr = eligible(p, isr, min_isr, lost_data)
    last_known = p.last_known_elr
    if leader != NO_LEADER:
        last_known = ()
    elif p.leader != NO_LEADER:
        last_known = (p.leader,)
    record = PartitionChangeRecord(p.partition, p.topic_id)
    if isr != p.isr:
        record.isr = list(isr)
    if elr != p.elr:
        record.eligible_leader_replicas = list(elr)
    if last_known != p.last_known_elr:
        record.last_known_elr = list(last_known)
    if leader != p.leader:
        record.leader = leader
    if dirty and not p.recovering:
        record.leader_recovery_state = RECOVERING
    elif recovered and p.recovering and not dirty:
        record.leader_recovery_state = RECOVERED
    return None if is_empty(record) else record


def is_empty(record: PartitionChangeRecord) -> bool:
    """Return whether the record changes nothing (it does not look at the replica
    assignment)."""
    return (
        record.isr is None
        and record.leader == LEADER_UNCHANGED
        and record.eligible_leader_replicas is None
        and record.last_known_elr is None
        and record.leader_recovery_state < 0
    )


def eligible(
    p: PartitionImage, isr: Sequence[int], min_isr: int, lost_data: Collection[int]
) -> tuple[int, ...]:
    """Return the eligible leader replicas once ``isr`` is the in-sync set: empty as
    soon as that set is large enough to acknowledge records without them."""
    if len(isr) >= min(min_isr, len(p.replicas)):
        return ()
    return tuple(
        r for r in p.replicas if (r in p.isr or r in p.elr) and r not in isr and r not in lost_data
    )


def _elect(
    p: PartitionImage,
    isr: tuple[int, ...],
    elr: tuple[int, ...],
    may_lead: Callable[[int], bool],
    preferred: bool,
    unclean: bool,
) -> tuple[int, bool]:
    """Return (leader or NO_LEADER, whether it may lack acknowledged records)."""
    first = p.replicas[0]
    if preferred and first in isr and may_lead(first):
        return first, False
    if p.leader in isr and may_lead(p.leader):
        return p.leader, False
    for eligible_set in (isr, elr):
        for replica in p.replicas:
            if replica in eligible_set and may_lead(replica):
                return replica, False
    # Only when both sets are empty: the last leader has more than any other replica,
    # usually all.
    last = p.last_known_elr or ((p.leader,) if p.leader != NO_LEADER else ())
    if not isr and not elr and len(last) == 1 and may_lead(last[0]):
        return last[0], True
    if unclean:
        for replica in p.replicas:
            if may_lead(replica):
                return replica, True
    return NO_LEADER, False
