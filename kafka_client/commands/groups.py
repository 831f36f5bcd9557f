"""Plans for consumer groups: reset offsets with a preview per partition, delete groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kafka_client.api import EARLIEST, LATEST, ClusterClient
from kafka_client.commands.plan import Plan, PlanRow, command_line
from kafka_client.errors import BadInput, ClientError
from kafka_client.model import ClusterSnapshot, TopicPartition
from kafka_client.wording import counted, listed


class ResetTo(StrEnum):
    EARLIEST = "earliest"
    LATEST = "latest"
    TIMESTAMP = "timestamp"
    OFFSET = "offset"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class ResetSpec:
    """``value`` is milliseconds since the epoch, an offset, or by how many records to shift
    (negative: back)."""

    to: ResetTo
    value: int = 0


FLAGS = {ResetTo.EARLIEST: "--to-earliest", ResetTo.LATEST: "--to-latest", ResetTo.OFFSET: "--to-offset",
         ResetTo.SHIFT: "--shift-by", ResetTo.TIMESTAMP: "--to-datetime"}  # fmt: skip


async def reset_targets(
    client: ClusterClient,
    partitions: Sequence[TopicPartition],
    committed: Mapping[TopicPartition, int],
    spec: ResetSpec,
) -> dict[TopicPartition, tuple[int, str]]:
    """(new offset, note) by partition, inside what each partition holds now.

    Raises: ClientError when the partitions' ends could not be read; nothing has been changed then.
    """
    starts = await _all_offsets(client, partitions, EARLIEST)
    ends = await _all_offsets(client, partitions, LATEST)
    times = (
        await _all_offsets(client, partitions, spec.value) if spec.to is ResetTo.TIMESTAMP else {}
    )
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
                wanted = times[tp]
                if wanted < 0:
                    wanted, note = end, "no record that late: the end"
        if not start <= wanted <= end:
            note = f"only {start:,} to {end:,} are there"
        targets[tp] = (min(max(wanted, start), end), note)
    return targets


async def _all_offsets(
    client: ClusterClient, partitions: Sequence[TopicPartition], which: int
) -> dict[TopicPartition, int]:
    found, errors = await client.offsets(dict.fromkeys(partitions, which))
    missing = [tp for tp in partitions if tp not in found]
    if missing:
        subject, sentence = next(iter(errors.items()), ("a partition", "no answer"))
        raise ClientError(
            f"The offsets of {counted(len(missing), 'partition')} could not be read: {subject}: {sentence}"
        )
    return found


async def plan_reset(
    client: ClusterClient,
    group: str,
    partitions: Sequence[TopicPartition],
    spec: ResetSpec,
    bootstrap: str,
) -> Plan:
    """Ask for what is committed and what is there, and say where each partition would go.

    Raises: BadInput when the group has members (Kafka refuses the commit), ClientError when it
    could not be asked.
    """
    described, errors = await client.describe_groups([group])
    if group in described and described[group].members:
        number = len(described[group].members)
        raise BadInput(
            f"{group} has {counted(number, 'member')}. Offsets can only be reset while nobody is in the group: stop "
            "its consumers first."
        )
    answered, commit_errors = await client.committed([group])
    if group not in answered:
        sentence = next(iter({**errors, **commit_errors}.values()), "no answer")
        raise ClientError(f"The offsets of {group} could not be read: {sentence}")
    committed = {tp: offset for tp, (offset, _) in answered[group].items() if offset >= 0}
    targets = await reset_targets(client, partitions, committed, spec)
    return reset_plan(group, committed, targets, spec, bootstrap)


def reset_plan(
    group: str,
    committed: Mapping[TopicPartition, int],
    targets: Mapping[TopicPartition, tuple[int, str]],
    spec: ResetSpec,
    bootstrap: str,
) -> Plan:
    rows, again, skipped = [], 0, 0
    for (topic, partition), (new, note) in sorted(targets.items()):
        old = committed.get((topic, partition))
        if old is not None and new < old:
            again += old - new
            said = f"{old - new:,} read again"
        elif old is not None and new > old:
            skipped += new - old
            said = f"{new - old:,} skipped"
        else:
            said = "not committed before" if old is None else "stays"
        rows.append(
            PlanRow(
                f"{topic} {partition}",
                "" if old is None else f"{old:,}",
                f"{new:,}",
                f"{said}; {note}" if note else said,
            )
        )
    moved = {tp: new for tp, (new, _) in targets.items() if committed.get(tp) != new}
    if not moved:
        raise BadInput("Every partition stands there already: nothing to reset.")
    warnings = []
    if again:
        warnings.append(f"{counted(again, 'record')} will be read again.")
    if skipped:
        warnings.append(f"{counted(skipped, 'record')} will never be read by this group.")

    async def send(client: ClusterClient) -> str:
        await client.alter_committed(group, moved)
        return f"{group} stands at its new offsets in {counted(len(moved), 'partition')}."

    before = {tp: (committed[tp], "") for tp in moved if tp in committed}
    now = {**committed, **moved}

    def undo() -> Plan:
        return reset_plan(group, now, before, ResetSpec(ResetTo.OFFSET), bootstrap)

    return Plan(
        title=f"Reset offsets of {group}",
        verb="Reset",
        rows=tuple(rows),
        command=_reset_command(group, targets, spec, bootstrap),
        send=send,
        warnings=tuple(warnings),
        undo=undo if before else None,
    )


def _reset_command(
    group: str, targets: Mapping[TopicPartition, tuple[int, str]], spec: ResetSpec, bootstrap: str
) -> str:
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(targets):
        topics.setdefault(topic, []).append(partition)
    arguments = ["--group", group, "--reset-offsets"]
    for topic, parts in topics.items():
        arguments += ["--topic", f"{topic}:{','.join(map(str, parts))}"]
    arguments.append(FLAGS[spec.to])
    if spec.to is ResetTo.TIMESTAMP:
        arguments.append(_iso(spec.value))
    elif spec.to in (ResetTo.OFFSET, ResetTo.SHIFT):
        arguments.append(str(spec.value))
    return command_line("kafka-consumer-groups", bootstrap, *arguments, "--execute")


def _iso(timestamp_ms: int) -> str:
    import datetime

    at = datetime.datetime.fromtimestamp(timestamp_ms / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp_ms % 1000:03d}"


def delete_groups(snapshot: ClusterSnapshot, names: Sequence[str], bootstrap: str) -> Plan:
    """Raises: BadInput when one of them has members."""
    busy = [n for n in names if n in snapshot.groups and snapshot.groups[n].members]
    if busy:
        raise BadInput(
            f"{listed(busy)} has members. A group can be deleted once its consumers have stopped."
        )
    rows = []
    for name in names:
        group = snapshot.groups.get(name)
        known = 0 if group is None else len(group.lags)
        rows.append(PlanRow(name, f"offsets of {counted(known, 'partition')}", "gone"))

    async def send(client: ClusterClient) -> str:
        await client.delete_groups(list(names))
        return f"{listed(list(names))} {'is' if len(names) == 1 else 'are'} deleted."

    one = len(names) == 1
    return Plan(
        title=f"Delete group {names[0]}" if one else f"Delete {len(names)} groups",
        verb="Delete",
        rows=tuple(rows),
        command="\n".join(
            command_line("kafka-consumer-groups", bootstrap, "--delete", "--group", n)
            for n in names
        ),
        send=send,
        warnings=(
            "Their committed offsets are gone: a consumer that joins again starts by its reset policy.",
        ),
        destructive=True,
        confirm=names[0] if one else f"delete {len(names)} groups",
    )
