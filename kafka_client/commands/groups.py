"""Plans for consumer groups: reset offsets with a preview per partition, delete groups."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kafka_client.api import EARLIEST, LATEST, ClusterClient, ClusterReader
from kafka_client.commands.plan import Plan, PlanRow, command_line, deletion, with_file
from kafka_client.errors import BadInput, ClientError
from kafka_client.model import ClusterSnapshot, TopicPartition
from resources.wording import counted, listed, verb

Targets = Mapping[TopicPartition, tuple[int, str]]
"""(new offset, note for the person) by partition."""


class ResetTo(StrEnum):
    EARLIEST = "earliest"
    LATEST = "latest"
    TIMESTAMP = "timestamp"
    OFFSET = "offset"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class ResetSpec:
    """``value``: of TIMESTAMP milliseconds since the epoch, of OFFSET an offset, of SHIFT a number
    of records, negative to go back."""

    to: ResetTo
    value: int = 0


FLAGS = {
    ResetTo.EARLIEST: "--to-earliest",
    ResetTo.LATEST: "--to-latest",
    ResetTo.OFFSET: "--to-offset",
    ResetTo.SHIFT: "--shift-by",
    ResetTo.TIMESTAMP: "--to-datetime",
}


async def reset_targets(
    client: ClusterReader,
    partitions: Sequence[TopicPartition],
    committed: Mapping[TopicPartition, int],
    spec: ResetSpec,
) -> dict[TopicPartition, tuple[int, str]]:
    """(new offset, note) by partition, within what each partition holds now.

    Raises: ClientError when the offsets of a partition cannot be read.
    """
    starts = await _offsets(client, partitions, EARLIEST)
    ends = await _offsets(client, partitions, LATEST)
    at_time: Mapping[TopicPartition, int] = {}
    if spec.to is ResetTo.TIMESTAMP:
        at_time = await _offsets(client, partitions, spec.value)
    targets = {}
    for tp in partitions:
        start, end, note = starts[tp], ends[tp], ""
        match spec.to:
            case ResetTo.EARLIEST:
                wanted = start
            case ResetTo.LATEST:
                wanted = end
            case ResetTo.OFFSET:
                wanted = spec.value
            case ResetTo.SHIFT:
                wanted = committed.get(tp, start) + spec.value
            case ResetTo.TIMESTAMP:
                wanted = at_time[tp]
                if wanted < 0:
                    wanted, note = end, "no record at or after that time: the end"
        if not start <= wanted <= end:
            note = f"the partition holds {start:,} to {end:,} only"
        targets[tp] = (min(max(wanted, start), end), note)
    return targets


async def _offsets(
    client: ClusterReader, partitions: Sequence[TopicPartition], which: int
) -> dict[TopicPartition, int]:
    """The offsets of all these partitions. Raises: ClientError when one is missing."""
    offsets, errors = await client.offsets(dict.fromkeys(partitions, which))
    missing = [tp for tp in partitions if tp not in offsets]
    if missing:
        subject, error = next(iter(errors.items()), ("a partition", "no answer"))
        raise ClientError(
            f"Cannot read the offsets of {counted(len(missing), 'partition')}: {subject}: {error}",
            subject=subject,
        )
    return offsets


async def plan_reset(
    client: ClusterReader,
    group: str,
    partitions: Sequence[TopicPartition],
    spec: ResetSpec,
    bootstrap: str,
) -> Plan:
    """Read the committed offsets and the ends of the partitions, and plan the new offsets.

    Raises: BadInput when the group has members (Kafka refuses the commit) or nothing would change;
    ClientError when something cannot be read.
    """
    committed = await _committed_without_members(client, group)
    targets = await reset_targets(client, partitions, committed, spec)
    return reset_plan(group, committed, targets, spec, bootstrap)


async def plan_offsets(
    client: ClusterReader, group: str, offsets: Mapping[TopicPartition, int], bootstrap: str
) -> Plan:
    """As ``plan_reset``, with an offset for each partition: the undo of an earlier reset."""
    committed = await _committed_without_members(client, group)
    targets: dict[TopicPartition, tuple[int, str]] = {}
    for offset in sorted(set(offsets.values())):
        partitions = [tp for tp, wanted in offsets.items() if wanted == offset]
        spec = ResetSpec(ResetTo.OFFSET, offset)
        targets |= await reset_targets(client, partitions, committed, spec)
    return reset_plan(group, committed, targets, None, bootstrap)


async def _committed_without_members(
    client: ClusterReader, group: str
) -> dict[TopicPartition, int]:
    described, errors = await client.describe_groups([group])
    if group in described and described[group].members:
        members = counted(len(described[group].members), "member")
        raise BadInput(
            f"{group} has {members}. Offsets can be reset only while a group has no members: stop "
            "its consumers first."
        )
    committed_of, commit_errors = await client.committed([group])
    if group not in committed_of:
        error = next(iter({**errors, **commit_errors}.values()), "no answer")
        raise ClientError(f"Cannot read the committed offsets of {group}: {error}", subject=group)
    return {tp: offset for tp, (offset, _) in committed_of[group].items() if offset >= 0}


def reset_plan(
    group: str,
    committed: Mapping[TopicPartition, int],
    targets: Targets,
    spec: ResetSpec | None,
    bootstrap: str,
) -> Plan:
    """The plan that commits ``targets``. ``spec``: how they were chosen, for the command line; None
    when each partition has an offset of its own, as in the undo.

    Raises: BadInput when every partition is at its target already.
    """
    moved = {tp: new for tp, (new, _) in targets.items() if committed.get(tp) != new}
    if not moved:
        raise BadInput("Every partition is at that offset already: nothing to reset.")

    async def send(client: ClusterClient) -> str:
        await client.alter_committed(group, moved)
        return f"The offsets of {group} are reset in {counted(len(moved), 'partition')}."

    after = {**committed, **moved}
    before = {tp: (committed[tp], "") for tp in moved if tp in committed}

    def undo() -> Plan:
        return reset_plan(group, after, before, None, bootstrap)

    return Plan(
        title=f"Reset offsets of {group}",
        verb="Reset",
        rows=tuple(_reset_row(tp, committed.get(tp), targets[tp]) for tp in sorted(targets)),
        command=_reset_command(group, targets, spec, bootstrap),
        send=send,
        warnings=_reset_warnings(committed, moved),
        undo=undo if before else None,
    )


def _reset_row(tp: TopicPartition, old: int | None, target: tuple[int, str]) -> PlanRow:
    new, note = target
    if old is None:
        effect = "not committed before"
    elif new < old:
        effect = f"{old - new:,} read again"
    elif new > old:
        effect = f"{new - old:,} skipped"
    else:
        effect = "stays"
    return PlanRow(
        f"{tp[0]} {tp[1]}",
        "" if old is None else f"{old:,}",
        f"{new:,}",
        f"{effect}; {note}" if note else effect,
    )


def _reset_warnings(
    committed: Mapping[TopicPartition, int], moved: Mapping[TopicPartition, int]
) -> tuple[str, ...]:
    steps = [new - committed[tp] for tp, new in moved.items() if tp in committed]
    again = -sum(step for step in steps if step < 0)
    skipped = sum(step for step in steps if step > 0)
    warnings = []
    if again:
        warnings.append(f"The group will read {counted(again, 'record')} again.")
    if skipped:
        warnings.append(f"The group will never read {counted(skipped, 'record')}.")
    return tuple(warnings)


def _reset_command(group: str, targets: Targets, spec: ResetSpec | None, bootstrap: str) -> str:
    arguments = ["--group", group, "--reset-offsets"]
    if spec is None:
        arguments += ["--from-file", "offsets.csv", "--execute"]
        lines = [f"{topic},{p},{offset}" for (topic, p), (offset, _) in sorted(targets.items())]
        tool = command_line("kafka-consumer-groups", bootstrap, *arguments)
        return with_file("offsets.csv", lines, tool)
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(targets):
        topics.setdefault(topic, []).append(partition)
    for topic, partitions in topics.items():
        arguments += ["--topic", f"{topic}:{','.join(map(str, partitions))}"]
    arguments.append(FLAGS[spec.to])
    if spec.to is ResetTo.TIMESTAMP:
        arguments.append(_utc(spec.value))
    elif spec.to in (ResetTo.OFFSET, ResetTo.SHIFT):
        arguments.append(str(spec.value))
    return command_line("kafka-consumer-groups", bootstrap, *arguments, "--execute")


def _utc(timestamp_ms: int) -> str:
    """As ``--to-datetime`` takes it; without a zone the tool reads UTC."""
    at = datetime.datetime.fromtimestamp(timestamp_ms / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp_ms % 1000:03d}"


def delete_groups(snapshot: ClusterSnapshot, names: Sequence[str], bootstrap: str) -> Plan:
    """Raises: BadInput when one of them has members."""
    busy = [n for n in names if n in snapshot.groups and snapshot.groups[n].members]
    if busy:
        raise BadInput(
            f"{listed(busy)} {verb(len(busy), 'has', 'have')} members. A group can be deleted when "
            "its consumers have stopped."
        )
    rows = []
    for name in names:
        group = snapshot.groups.get(name)
        partitions = counted(0 if group is None else len(group.lags), "partition")
        rows.append(PlanRow(name, f"offsets of {partitions}", "gone"))

    async def send(client: ClusterClient) -> None:
        await client.delete_groups(list(names))

    return deletion(
        "group",
        names,
        rows,
        (command_line("kafka-consumer-groups", bootstrap, "--delete", "--group", n) for n in names),
        [
            "The committed offsets are deleted too: a consumer that joins again starts by its "
            "reset policy."
        ],
        send,
    )
