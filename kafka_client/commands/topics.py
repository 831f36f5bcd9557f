"""Plans for topics: create, delete, add partitions, delete records, elect preferred leaders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kafka_client.api import LATEST, ClusterClient
from kafka_client.commands.plan import (
    Plan,
    PlanRow,
    command_line,
    deletion,
    partitions_json,
    with_file,
)
from kafka_client.errors import BadInput, ClientError
from kafka_client.model import ClusterSnapshot, NewTopic, Partition, Topic, TopicPartition
from resources.wording import counted, listed, verb

LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")
NAME_MOST = 249
END_OF_LOG = -1
"""As the offset of DeleteRecords: the high watermark."""
NO_WAY_BACK = "The records are deleted on every broker. There is no way back."


def check_name(name: str) -> str:
    """Why a topic cannot have this name, as a sentence; empty when it can."""
    if not name:
        return "Give the topic a name."
    if name in (".", ".."):
        return f"A topic cannot be called “{name}”."
    if len(name) > NAME_MOST:
        return f"The name has {len(name)} characters; {NAME_MOST} are allowed."
    if not LEGAL_NAME.fullmatch(name):
        wrong = next(c for c in name if not LEGAL_NAME.fullmatch(c))
        return f"“{wrong}” is not allowed: letters, digits, “.”, “_” and “-” are."
    return ""


def create_topic(snapshot: ClusterSnapshot, topic: NewTopic, bootstrap: str) -> Plan:
    """Raises: BadInput when the snapshot shows that the cluster would refuse it."""
    brokers = len(snapshot.brokers)
    wrong = _why_not_created(snapshot, topic, brokers)
    if wrong:
        raise BadInput(wrong)
    warnings = []
    # Kafka's metric names replace "." by "_", so both names would share their metrics.
    metric_name = topic.name.replace(".", "_")
    clash = next((t for t in snapshot.topics if t.replace(".", "_") == metric_name), "")
    if clash:
        warnings.append(
            f"Its metrics get the names of those of {clash}: Kafka replaces “.” by “_” in them."
        )
    if topic.replication_factor == 1 and brokers > 1:
        warnings.append("With one replica, the records are lost with the disk of their broker.")
    arguments = ["--create", "--topic", topic.name]
    if topic.partitions > 0:
        arguments += ["--partitions", str(topic.partitions)]
    if topic.replication_factor > 0:
        arguments += ["--replication-factor", str(topic.replication_factor)]
    for name, value in topic.configs.items():
        arguments += ["--config", f"{name}={value}"]

    async def send(client: ClusterClient) -> str:
        await client.create_topics([topic])
        return f"Topic {topic.name} is created."

    rows = [
        PlanRow("Partitions", "", _number_or_default(topic.partitions)),
        PlanRow("Replication", "", _number_or_default(topic.replication_factor)),
        *(PlanRow(name, "", value) for name, value in topic.configs.items()),
    ]
    return Plan(
        title=f"Create topic {topic.name}",
        verb="Create",
        rows=tuple(rows),
        command=command_line("kafka-topics", bootstrap, *arguments),
        send=send,
        warnings=tuple(warnings),
    )


def _why_not_created(snapshot: ClusterSnapshot, topic: NewTopic, brokers: int) -> str:
    wrong = check_name(topic.name)
    if wrong:
        return wrong
    if topic.name in snapshot.topics:
        return f"There is a topic {topic.name} already."
    if topic.replication_factor > brokers:
        return (
            f"{counted(topic.replication_factor, 'replica')} need as many brokers; the cluster has "
            f"{counted(brokers, 'broker')}."
        )
    return ""


def _number_or_default(number: int) -> str:
    return str(number) if number > 0 else "the broker's default"


def delete_topics(snapshot: ClusterSnapshot, names: Sequence[str], bootstrap: str) -> Plan:
    """Raises: BadInput for Kafka's own topics."""
    internal = [name for name in names if name.startswith("__")]
    if internal:
        raise BadInput(
            f"{listed(internal)} {verb(len(internal), 'belongs', 'belong')} to Kafka itself; "
            "without it the cluster loses its groups or transactions."
        )
    readers = {
        group.group_id
        for group in snapshot.groups.values()
        if group.members and not set(names).isdisjoint(group.topics)
    }
    warnings = [NO_WAY_BACK]
    if readers:
        read, them = verb(len(readers), "reads", "read"), verb(len(names), "it", "them")
        warnings.append(f"{listed(sorted(readers))} {read} from {them} now.")

    async def send(client: ClusterClient) -> None:
        await client.delete_topics(list(names))

    return deletion(
        "topic",
        names,
        (PlanRow(n, _contents(snapshot.topics.get(n)), "gone", "cannot be undone") for n in names),
        (command_line("kafka-topics", bootstrap, "--delete", "--topic", n) for n in names),
        warnings,
        send,
    )


def _contents(topic: Topic | None) -> str:
    if topic is None:
        return ""
    spans = [p.offset_span for p in topic.partitions]
    text = counted(len(topic.partitions), "partition")
    if spans and None not in spans:
        text += f", offset span {sum(s or 0 for s in spans):,}"
    return text


def add_partitions(snapshot: ClusterSnapshot, topic: str, total: int, bootstrap: str) -> Plan:
    """Raises: BadInput when ``total`` is not larger: Kafka never removes partitions."""
    now = len(snapshot.topics[topic].partitions)
    if total <= now:
        raise BadInput(
            f"{topic} has {counted(now, 'partition')}. Partitions can be added, never removed: "
            "their records would be lost, and keys would move to other partitions."
        )

    async def send(client: ClusterClient) -> str:
        await client.create_partitions(topic, total)
        return f"{topic} has {counted(total, 'partition')} now."

    arguments = ["--alter", "--topic", topic, "--partitions", str(total)]
    return Plan(
        title=f"Add partitions to {topic}",
        verb="Add partitions",
        rows=(PlanRow("Partitions", str(now), str(total)),),
        command=command_line("kafka-topics", bootstrap, *arguments),
        send=send,
        warnings=(
            "New records of a key may go to another partition than its older ones: their order "
            "across the change is not kept.",
            "It cannot be undone: a topic never has fewer partitions.",
        ),
    )


def empty_topic(
    snapshot: ClusterSnapshot,
    topic: str,
    bootstrap: str,
    before: Mapping[int, int] | None = None,
) -> Plan:
    """Delete the records before these offsets, by partition; all of them when it is None."""
    partitions = snapshot.topics[topic].partitions
    if before is not None:
        partitions = tuple(p for p in partitions if p.partition in before)
    ends = {
        p.partition: p.high_watermark if before is None else before[p.partition] for p in partitions
    }
    rows = [
        PlanRow(
            f"Partition {p.partition}",
            f"starts at {p.start_offset or 0:,}",
            f"starts at {ends[p.partition]:,}",
        )
        for p in partitions
        if ends[p.partition] is not None
    ]
    offsets = {
        (topic, p.partition): END_OF_LOG if before is None else before[p.partition]
        for p in partitions
    }
    tool = command_line("kafka-delete-records", bootstrap, "--offset-json-file", "offsets.json")
    warnings = [NO_WAY_BACK]
    if rows:
        warnings.append(
            "A consumer whose position lies before the new start goes on by its reset policy."
        )

    async def send(client: ClusterClient) -> str:
        targets = await _ends(client, list(offsets)) if before is None else offsets
        await client.delete_records(targets)
        return f"{topic} is emptied in {counted(len(targets), 'partition')}."

    return Plan(
        title=f"Empty topic {topic}",
        verb="Delete records",
        rows=tuple(rows),
        command=with_file("offsets.json", partitions_json(offsets, offsets), tool),
        send=send,
        warnings=tuple(warnings),
        destructive=True,
        confirm=topic,
    )


async def _ends(
    client: ClusterClient, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """The end offsets of all these partitions. Raises: ClientError when one is not known."""
    ends, errors = await client.offsets(dict.fromkeys(partitions, LATEST))
    if errors:
        subject, error = next(iter(errors.items()))
        raise ClientError(f"Nothing was deleted: {subject}: {error}", subject=subject)
    return ends


def elect_preferred(
    snapshot: ClusterSnapshot, partitions: Sequence[TopicPartition], bootstrap: str
) -> Plan:
    """Raises: BadInput when the preferred replica leads each of these partitions already."""
    moving = [
        p
        for topic, number in partitions
        if (p := _find(snapshot, topic, number)) is not None
        and p.replicas
        and p.leader != p.replicas[0]
    ]
    if not moving:
        raise BadInput("The preferred replica leads each of these partitions already.")

    async def send(client: ClusterClient) -> str:
        await client.elect_leaders([(p.topic, p.partition) for p in moving])
        return f"The preferred leader is elected for {counted(len(moving), 'partition')}."

    return Plan(
        title="Elect preferred leaders",
        verb="Elect",
        rows=tuple(_election_row(p) for p in moving),
        command=_election_command(moving, bootstrap),
        send=send,
        warnings=(
            "Clients of these partitions find the new leader by themselves and repeat the requests "
            "that it refuses.",
        ),
    )


def _find(snapshot: ClusterSnapshot, topic: str, number: int) -> Partition | None:
    return next((p for p in snapshot.topics[topic].partitions if p.partition == number), None)


def _election_row(p: Partition) -> PlanRow:
    preferred = p.replicas[0]
    old = "no leader" if p.leader is None else f"broker {p.leader}"
    note = "" if preferred in p.isr else "not in sync: the leader stays"
    return PlanRow(f"{p.topic} {p.partition}", old, f"broker {preferred}", note)


def _election_command(moving: Sequence[Partition], bootstrap: str) -> str:
    arguments = ["--election-type", "preferred"]
    if len(moving) == 1:
        arguments += ["--topic", moving[0].topic, "--partition", str(moving[0].partition)]
        return command_line("kafka-leader-election", bootstrap, *arguments)
    arguments += ["--path-to-json-file", "partitions.json"]
    tool = command_line("kafka-leader-election", bootstrap, *arguments)
    lines = partitions_json((p.topic, p.partition) for p in moving)
    return with_file("partitions.json", lines, tool)
