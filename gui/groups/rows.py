"""What the tables of consumer groups show, worked out of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from kafka_client.model import Group, GroupStatus, Member, PartitionLag
from widgets import figures
from widgets.column import Column

STATUS_TONES = {
    GroupStatus.OK: "ok",
    GroupStatus.BEHIND: "warn",
    GroupStatus.STALLED: "bad",
    GroupStatus.STOPPED: "bad",
    GroupStatus.REWOUND: "warn",
    GroupStatus.UNKNOWN: "text_faint",
}
STATUS_WORDS = {
    GroupStatus.OK: "It keeps up: its lag was zero within the last samples, or shrinks",
    GroupStatus.BEHIND: "It moves, and its lag never falls: it is slower than what is produced",
    GroupStatus.STALLED: "It commits the same offsets again and again while there is more to read",
    GroupStatus.STOPPED: "It has lag and does not commit any more",
    GroupStatus.REWOUND: "Its committed offset went back: it was reset, or reads again",
    GroupStatus.UNKNOWN: "Not enough samples yet to say",
}


def trend(group: Group) -> str:
    """In a word with an arrow: which way the lag goes, from the rates of the last samples."""
    if group.rate_in_per_s is None or group.rate_out_per_s is None:
        return "–"
    difference = group.rate_in_per_s - group.rate_out_per_s
    if abs(difference) < max(0.05 * group.rate_in_per_s, 0.1):
        return "→ steady"
    return f"↑ {figures.rate(difference)}" if difference > 0 else f"↓ {figures.rate(-difference)}"


@dataclass(frozen=True, slots=True)
class GroupRow:
    group: str
    status: GroupStatus
    state: str
    kind: str
    protocol: str
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
        status=group.status,
        state=group.state,
        kind=group.kind,
        protocol=group.protocol,
        members=len(group.members),
        coordinator=group.coordinator,
        topics=group.topics,
        lag=group.lag_records,
        seconds=group.lag_seconds,
        trend=trend(group),
        catch_up_s=group.catch_up_s,
        error=group.error,
    )


def _status_tip(row: GroupRow) -> str:
    return row.error or STATUS_WORDS[row.status]


GROUP_COLUMNS: list[Column[GroupRow]] = [
    Column("group", "Group", lambda r: r.group, width=220, stretch=True),
    Column("status", "Status", lambda r: str(r.status), paint="dot", tone=lambda r: STATUS_TONES[r.status],
           tip=_status_tip, width=128),
    Column("state", "State", lambda r: r.state, width=110, help="As the group's coordinator says it"),
    Column("members", "Members", lambda r: r.members, text=figures.count, numeric=True),
    Column("topics", "Topics", lambda r: ", ".join(r.topics), width=160),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True, width=96,
           help="End offsets less committed offsets, over all partitions"),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True, width=96,
           help="How old the first record not yet read is; from the history of the end offsets"),
    Column("trend", "Trend", lambda r: r.trend, width=120, help="Produced less consumed, per second"),
    Column("catch_up", "Caught up in", lambda r: r.catch_up_s, text=figures.duration, numeric=True, width=110,
           help="At the present rates; empty while the lag does not shrink"),
    Column("protocol", "Assignor", lambda r: r.protocol, width=110, hidden=True),
    Column("kind", "Protocol", lambda r: r.kind, width=90),
    Column("coordinator", "Coordinator", lambda r: r.coordinator, numeric=True, hidden=True),
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
        lag.topic,
        lag.partition,
        lag.committed,
        lag.end_offset,
        lag.lag_records,
        lag.lag_seconds,
        lag.client_id or lag.member_id or "",
        lag.host or "",
        lag.metadata,
    )


LAG_COLUMNS: list[Column[LagRow]] = [
    Column("topic", "Topic", lambda r: r.topic, width=180, stretch=True),
    Column("partition", "Partition", lambda r: r.partition, text=str, numeric=True, width=84),
    Column("committed", "Committed", lambda r: r.committed, text=figures.count, numeric=True, width=104),
    Column("end", "End", lambda r: r.end, text=figures.count, numeric=True, width=104),
    Column("lag", "Lag", lambda r: r.lag, text=figures.count, numeric=True, width=96),
    Column("seconds", "Behind by", lambda r: r.seconds, text=figures.duration, numeric=True, width=96),
    Column("member", "Read by", lambda r: r.member or "nobody", width=160,
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
    """``email 0-2, sms 1``: the partitions of each topic, runs as ranges."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in member.assignment:
        by_topic.setdefault(topic, []).append(partition)
    return ", ".join(f"{topic} {ranges(parts)}" for topic, parts in sorted(by_topic.items()))


def ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0-2 5``."""
    words: list[str] = []
    start = last = None
    for n in [*sorted(numbers), None]:
        if last is not None and n == last + 1:
            last = n
            continue
        if start is not None:
            words.append(str(start) if start == last else f"{start}-{last}")
        start = last = n
    return " ".join(words)


def member_row(member: Member) -> MemberRow:
    return MemberRow(
        member.member_id,
        member.client_id,
        member.host,
        member.instance_id or "",
        len(member.assignment),
        assignment_text(member),
    )


MEMBER_COLUMNS: list[Column[MemberRow]] = [
    Column("client", "Client", lambda r: r.client, width=160),
    Column("host", "Host", lambda r: r.host, width=120),
    Column("partitions", "Partitions", lambda r: r.partitions, text=figures.count, numeric=True),
    Column("assignment", "Assignment", lambda r: r.assignment or "none", width=280, stretch=True),
    Column("instance", "Static id", lambda r: r.instance, width=110, hidden=True),
    Column("member", "Member id", lambda r: r.member, width=300, mono=True),
]
