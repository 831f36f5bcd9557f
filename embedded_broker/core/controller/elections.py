"""Who leads a partition, and who may: in-sync replicas, then eligible leader replicas, then the
last known leader.

An eligible leader replica (ELR, KIP-966) has left the in-sync set while that was smaller than
min.insync.replicas. Nothing was acknowledged since, so it holds all that ever was. A replica
whose disk may have lost something is in neither set. When both are empty, the replica that led
last may lead again, marked as recovering; any other only where unclean election is allowed.
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
    """The record that takes ``p`` to a new in-sync set and, when needed, to a new leader; None
    when nothing changes.

    ``may_lead`` says which replicas are alive and staying; ``lost_data`` those whose disks lost
    something; ``preferred`` wants the first replica to lead even when the present leader could;
    ``unclean`` allows any replica; ``recovered`` ends the recovery after an unclean election.
    """
    isr = tuple(isr)
    elr = eligible(p, isr, min_isr, lost_data)
    leader, dirty = _elect(p, isr, elr, may_lead, preferred, unclean)
    if dirty:
        isr, elr = (leader,), ()
    elif leader != NO_LEADER and leader not in isr:
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
    """The eligible leader replicas once ``isr`` is the in-sync set."""
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
    """(leader or NO_LEADER, whether it may lack what was acknowledged)."""
    first = p.replicas[0]
    if preferred and first in isr and may_lead(first):
        return first, False
    if p.leader in isr and may_lead(p.leader):
        return p.leader, False
    for eligible_set in (isr, elr):
        for replica in p.replicas:
            if replica in eligible_set and may_lead(replica):
                return replica, False
    last = p.last_known_elr or ((p.leader,) if p.leader != NO_LEADER else ())
    if not isr and not elr and len(last) == 1 and may_lead(last[0]):
        return last[0], True
    if unclean:
        for replica in p.replicas:
            if may_lead(replica):
                return replica, True
    return NO_LEADER, False
