"""Computes the rows of the tables of consumer groups from a snapshot. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gui.page_kit.columns import status_column
from gui.status import GROUP_STATUS, Status
from kafka_client.model import Group, Member, PartitionLag
from widgets import figures
from widgets.column import Column

STEADY_SHARE, STEADY_RATE = 0.05, 0.1
"""Rates that differ by less than this share of the rate in, or by less than this many records a
second, count as steady."""


def trend(group: Group) -> str:
    """The direction of the lag as an arrow and a word or a rate, from the last two samples."""
    if group.rate_in_per_s is None or group.rate_out_per_s is None:
        return figures.UNKNOWN
    growth = group.rate_in_per_s - group.rate_out_per_s
    if abs(growth) < max(STEADY_SHARE * group.rate_in_per_s, STEADY_RATE):
        return "→ steady"
    return f"↑ {figures.rate(growth)}" if growth > 0 else f"↓ {figures.rate(-growth)}"


def has_stopped(group: Group) -> bool:
    """Without members, or without commits, nothing catches up."""
    return not group.members or group.rate_out_per_s == 0


@dataclass(frozen=True, slots=True)
class GroupRow:
    group: str
    status: Status
    state: str
    kind: str
    assignor: str
    members: int
    coordinator: int | None
    topics: tuple[str, ...]
    lag: int | None
    seconds: float | None
    trend: str
    catch_up_s: float | None
    error: str


def group_row(group: Group) -> GroupRow:
    return GroupRow(
        group=group.group_id,
        status=GROUP_STATUS[group.status],
        state=group.state,
        kind=group.kind,
        assignor=group.protocol,
        members=len(group.members),
        coordinator=group.coordinator,
        topics=group.topics,
        lag=group.lag_records,
        seconds=group.lag_seconds,
        trend=trend(group),
        catch_up_s=None if has_stopped(group) else group.catch_up_s,
        error=group.error,
    )


GROUP_COLUMNS: list[Column[GroupRow]] = [
    Column("group", "Group", lambda r: r.group, width=160, stretch=True),
    status_column("status", "Status", lambda r: r.status, width=120,
                  tip=lambda r: r.error or r.status.meaning),
    Column("state", "State", lambda r: r.state, width=80,
           help="The group state that its coordinator reports"),
    Column("members", "Members", lambda r: r.members, text=figures.count, numeric=True, width=80),
    Column("topics", "Topics", lambda r: ", ".join(r.topics), width=112,
           help="Topics with committed offsets"),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True, width=80,
           help="End offsets minus committed offsets, over all partitions"),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True,
           width=96,
           help="Age of the first record not consumed yet, from the history of the end offsets"),
    Column("trend", "Trend", lambda r: r.trend, width=84,
           help="How fast the lag grows or shrinks, in records per second"),
    Column("catch_up", "Caught up in", lambda r: r.catch_up_s, text=figures.duration, numeric=True,
           width=104, help="At the present rates; unknown while the lag does not shrink"),
    Column("protocol", "Assignor", lambda r: r.assignor, width=110, hidden=True,
           help="Partition assignment strategy"),
    Column("kind", "Protocol", lambda r: r.kind, width=84,
           help="Group protocol: classic, consumer (KIP-848) or share"),
    Column("coordinator", "Coordinator", lambda r: r.coordinator, numeric=True, hidden=True,
           help="Broker that coordinates the group"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class LagRow:
    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    seconds: float | None
    member: str
    host: str
    note: str

    @property
    def key(self) -> tuple[str, int]:
        return self.topic, self.partition


def lag_row(lag: PartitionLag) -> LagRow:
    return LagRow(
        topic=lag.topic,
        partition=lag.partition,
        committed=lag.committed,
        end=lag.end_offset,
        lag=lag.lag_records,
        seconds=lag.lag_seconds,
        member=lag.client_id or lag.member_id or "",
        host=lag.host or "",
        note=lag.metadata,
    )


LAG_COLUMNS: list[Column[LagRow]] = [
    Column("topic", "Topic", lambda r: r.topic, width=180, stretch=True),
    Column("partition", "Partition", lambda r: r.partition, text=str, numeric=True, width=84),
    Column("committed", "Committed", lambda r: r.committed, text=figures.count, numeric=True,
           width=104, help="Committed offset: the next record to consume"),
    Column("end", "End", lambda r: r.end, text=figures.count, numeric=True, width=104,
           help="End offset of the partition"),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True, width=96),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True,
           width=96),
    Column("member", "Read by", lambda r: r.member or "no member", width=160,
           tone=lambda r: "text" if r.member else "text_faint"),
    Column("host", "Host", lambda r: r.host, width=120),
    Column("note", "Commit metadata", lambda r: r.note, width=140, hidden=True),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MemberRow:
    member: str
    client: str
    host: str
    instance: str
    partitions: int
    assignment: str


def assignment_text(member: Member) -> str:
    """``email 0-2, sms 1``: the partitions of each topic, with runs as ranges."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in member.assignment:
        by_topic.setdefault(topic, []).append(partition)
    return ", ".join(f"{topic} {ranges(parts)}" for topic, parts in sorted(by_topic.items()))


def ranges(numbers: Sequence[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0-2 5``."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def member_row(member: Member) -> MemberRow:
    return MemberRow(
        member=member.member_id,
        client=member.client_id,
        host=member.host,
        instance=member.instance_id or "",
        partitions=len(member.assignment),
        assignment=assignment_text(member),
    )


MEMBER_COLUMNS: list[Column[MemberRow]] = [
    Column("client", "Client", lambda r: r.client, width=160, help="Client id"),
    Column("host", "Host", lambda r: r.host, width=120),
    Column("partitions", "Partitions", lambda r: r.partitions, text=figures.count, numeric=True),
    Column("assignment", "Assignment", lambda r: r.assignment or "none", width=280, stretch=True),
    Column("instance", "Static id", lambda r: r.instance, width=110, hidden=True,
           help="group.instance.id of a static member"),
    Column("member", "Member id", lambda r: r.member, width=300, mono=True),
]  # fmt: skip
