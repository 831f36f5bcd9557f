"""Plans for topics: create, delete, add partitions, empty, elect preferred leaders."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kafka_client.api import LATEST, ClusterClient
from kafka_client.commands.plan import Plan, PlanRow, command_line
from kafka_client.errors import BadInput
from kafka_client.model import ClusterSnapshot, NewTopic, Topic, TopicPartition
from kafka_client.wording import counted, listed

LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")
MOST_NAME = 249


def check_name(name: str) -> str:
    """Why a topic cannot be called this, as a sentence; empty when it can."""
    if not name:
        return "Give the topic a name."
    if name in (".", ".."):
        return f"A topic cannot be called “{name}”."
    if len(name) > MOST_NAME:
        return f"The name has {len(name)} characters; {MOST_NAME} are allowed."
    if not LEGAL_NAME.fullmatch(name):
        wrong = next(c for c in name if not LEGAL_NAME.fullmatch(c))
        return f"“{wrong}” is not allowed: letters, digits, “.”, “_” and “-” are."
    return ""


def create_topic(snapshot: ClusterSnapshot, topic: NewTopic, bootstrap: str) -> Plan:
    """Raises: BadInput when the cluster would refuse it for a reason that is known here."""
    wrong = check_name(topic.name)
    brokers = len(snapshot.brokers)
    if not wrong and topic.name in snapshot.topics:
        wrong = f"There is a topic {topic.name} already."
    if not wrong and topic.replication_factor > brokers:
        wrong = f"Replication {topic.replication_factor} needs as many brokers; {counted(brokers, 'broker')} are there."
    if wrong:
        raise BadInput(wrong)
    warnings = []
    alike = topic.name.replace(".", "_")
    clash = next((t for t in snapshot.topics if t.replace(".", "_") == alike), "")
    if clash:
        warnings.append(
            f"Its metrics would be named like those of {clash}: “.” and “_” are one there."
        )
    if topic.replication_factor == 1 and brokers > 1:
        warnings.append("With replication 1 its records are gone when their broker's disk is.")
    arguments = ["--create", "--topic", topic.name]
    arguments += ["--partitions", str(topic.partitions)] if topic.partitions > 0 else []
    arguments += (
        ["--replication-factor", str(topic.replication_factor)]
        if topic.replication_factor > 0
        else []
    )
    for name, value in topic.configs.items():
        arguments += ["--config", f"{name}={value}"]

    def said(number: int) -> str:
        return str(number) if number > 0 else "the broker's default"

    async def send(client: ClusterClient) -> str:
        await client.create_topics([topic])
        return f"Topic {topic.name} is created."

    rows = [
        PlanRow("Partitions", "", said(topic.partitions)),
        PlanRow("Replication", "", said(topic.replication_factor)),
    ]
    rows += [PlanRow(name, "", value) for name, value in topic.configs.items()]
    return Plan(
        title=f"Create topic {topic.name}",
        verb="Create",
        rows=tuple(rows),
        command=command_line("kafka-topics", bootstrap, *arguments),
        send=send,
        warnings=tuple(warnings),
    )


def delete_topics(snapshot: ClusterSnapshot, names: Sequence[str], bootstrap: str) -> Plan:
    rows, readers = [], set()
    for name in names:
        topic = snapshot.topics.get(name)
        rows.append(PlanRow(name, _contents(topic), "gone", "cannot be undone"))
        readers |= {g.group_id for g in snapshot.groups.values() if name in g.topics and g.members}
    warnings = ["The records are deleted on every broker. There is no way back."]
    if readers:
        warnings.append(f"Read right now by {listed(sorted(readers))}.")
    internal = [n for n in names if n.startswith("__")]
    if internal:
        raise BadInput(
            f"{listed(internal)} belongs to Kafka itself; deleting it would break the cluster's groups or transactions."
        )

    async def send(client: ClusterClient) -> str:
        await client.delete_topics(list(names))
        return f"{listed(list(names))} {'is' if len(names) == 1 else 'are'} deleted."

    one = len(names) == 1
    return Plan(
        title=f"Delete topic {names[0]}" if one else f"Delete {len(names)} topics",
        verb="Delete",
        rows=tuple(rows),
        command="\n".join(
            command_line("kafka-topics", bootstrap, "--delete", "--topic", n) for n in names
        ),
        send=send,
        warnings=tuple(warnings),
        destructive=True,
        confirm=names[0] if one else f"delete {len(names)} topics",
    )


def _contents(topic: Topic | None) -> str:
    if topic is None:
        return ""
    spans = [p.offset_span for p in topic.partitions]
    words = counted(len(topic.partitions), "partition")
    if spans and None not in spans:
        words += f", offset span {sum(s or 0 for s in spans):,}"
    return words


def add_partitions(snapshot: ClusterSnapshot, topic: str, total: int, bootstrap: str) -> Plan:
    """Raises: BadInput when that is not more than there are: partitions are never taken away."""
    now = len(snapshot.topics[topic].partitions)
    if total <= now:
        raise BadInput(
            f"{topic} has {counted(now, 'partition')}. Partitions can be added, never removed: their records would be "
            "lost, and keys would change place."
        )

    async def send(client: ClusterClient) -> str:
        await client.create_partitions(topic, total)
        return f"{topic} has {total} partitions now."

    return Plan(
        title=f"Add partitions to {topic}",
        verb="Add partitions",
        rows=(PlanRow("Partitions", str(now), str(total)),),
        command=command_line(
            "kafka-topics", bootstrap, "--alter", "--topic", topic, "--partitions", str(total)
        ),
        send=send,
        warnings=(
            "New records of a key may go to another partition than its older ones: their order across the change is "
            "not kept.",
            "It cannot be undone: a topic never has fewer partitions.",
        ),
    )


def empty_topic(
    snapshot: ClusterSnapshot, topic: str, bootstrap: str, before: dict[int, int] | None = None
) -> Plan:
    """Delete the records before these offsets, by partition; all that is there now when
    ``before`` is None."""
    rows = []
    for p in snapshot.topics[topic].partitions:
        end = before.get(p.partition) if before is not None else p.high_watermark
        if end is None:
            continue
        rows.append(
            PlanRow(
                f"Partition {p.partition}",
                f"starts at {p.start_offset or 0:,}",
                f"starts at {end:,}",
            )
        )
    compacted = (
        ""
        if not rows
        else "Consumers that stand before the new start go on from it, by their reset policy."
    )

    async def send(client: ClusterClient) -> str:
        targets: dict[TopicPartition, int] = {}
        if before is None:
            wanted = {(topic, p.partition): LATEST for p in snapshot.topics[topic].partitions}
            targets, errors = await client.offsets(wanted)
            if errors:
                subject, sentence = next(iter(errors.items()))
                raise BadInput(f"Nothing was deleted: {subject}: {sentence}")
        else:
            targets = {(topic, partition): offset for partition, offset in before.items()}
        await client.delete_records(targets)
        return f"{topic} is empty up to {counted(len(targets), 'offset')}."

    return Plan(
        title=f"Empty topic {topic}",
        verb="Delete records",
        rows=tuple(rows),
        command=command_line(
            "kafka-delete-records", bootstrap, "--offset-json-file", "offsets.json"
        ),
        send=send,
        warnings=(
            "The records are deleted on every broker. There is no way back.",
            *([compacted] if compacted else []),
        ),
        destructive=True,
        confirm=topic,
    )


def elect_preferred(
    snapshot: ClusterSnapshot, partitions: Sequence[TopicPartition], bootstrap: str
) -> Plan:
    """Raises: BadInput when every one of them is led by its preferred replica already."""
    rows = []
    for name, number in partitions:
        found = next((p for p in snapshot.topics[name].partitions if p.partition == number), None)
        if found is None or not found.replicas or found.leader == found.replicas[0]:
            continue
        preferred = found.replicas[0]
        ready = preferred in found.isr
        rows.append(
            PlanRow(
                f"{name} {number}",
                f"broker {found.leader}",
                f"broker {preferred}",
                "" if ready else "not in sync: its leader stays",
            )
        )
    if not rows:
        raise BadInput("Every one of these partitions is led by its preferred replica already.")

    async def send(client: ClusterClient) -> str:
        await client.elect_leaders(list(partitions))
        return f"The preferred leader is elected for {counted(len(rows), 'partition')}."

    return Plan(
        title="Elect preferred leaders",
        verb="Elect",
        rows=tuple(rows),
        command=command_line(
            "kafka-leader-election",
            bootstrap,
            "--election-type",
            "preferred",
            "--all-topic-partitions",
        )
        if len(partitions) > 1
        else command_line(
            "kafka-leader-election",
            bootstrap,
            "--election-type",
            "preferred",
            "--topic",
            partitions[0][0],
            "--partition",
            str(partitions[0][1]),
        ),
        send=send,
        warnings=(
            "Clients of these partitions find the new leader by themselves; a request on its way is sent again.",
        ),
    )
