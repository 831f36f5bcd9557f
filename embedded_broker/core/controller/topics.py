"""CreateTopics (19), DeleteTopics (20), CreatePartitions (37): validated topic by
topic, proposed together, answered when committed.

Where Kafka has a text for a refusal it is used word for word, so that people who
search for it find it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import partial
from uuid import UUID

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.placement import Candidate, place, ring
from embedded_broker.core.controller.preparing import AT_ONCE, Judged, Work, prepare
from embedded_broker.core.controller.refusals import Refused
from embedded_broker.core.controller.room import Room
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import (
    TOPIC,
    PartitionImage,
    TopicImage,
)
from embedded_broker.core.metadata.records import (
    RECOVERED,
    ConfigRecord,
    MetadataRecord,
    PartitionRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from embedded_broker.core.metadata.topics import METADATA_TOPIC
from embedded_broker.options import SettingError, check_topic_configs
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID
from kafka_protocol.messages import k19_create_topics as k19
from kafka_protocol.messages import k20_delete_topics as k20
from kafka_protocol.messages import k37_create_partitions as k37

NAME_MAX = 249
PARTITIONS_MAX = 10_000
"""In one request, as in Kafka's controller."""
ITEMS_A_TOPIC = 10
"""The work of judging a topic and describing its settings, in records."""
_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def check_name(name: str) -> None:
    """Raises: Refused (INVALID_TOPIC_EXCEPTION)."""
    wrong = ""
    if not name:
        wrong = "the name is empty"
    elif name in (".", ".."):
        wrong = "the name cannot be '.' or '..'"
    elif len(name) > NAME_MAX:
        wrong = f"the name is longer than {NAME_MAX} characters"
    elif not _NAME.fullmatch(name):
        wrong = (
            f"the name {name!r} has characters other than ASCII letters, digits, '.', '_' and '-'"
        )
    elif name == METADATA_TOPIC:
        wrong = f"{METADATA_TOPIC} is the cluster's own log"
    if wrong:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {wrong}.")


# ---- create topics
def create_topics(controller: Controller, now_ms: int, event: RequestReceived) -> Work[None] | None:
    """Create the valid topics of the request in one batch."""
    if not controller.is_active:
        controller.refuse(event)
        return None

    def basis() -> Hashable:
        return _brokers(controller), tuple(controller.image.topics)

    return prepare(controller, now_ms, event, basis, partial(_judge_new_topics, controller, event))


def _brokers(controller: Controller) -> Hashable:
    """What the placement of replicas rests on."""
    image = controller.image
    return tuple(
        (b.broker_id, b.rack, image.eligible(b.broker_id), tuple(b.directory_ids))
        for b in image.brokers.values()
    )


def _judge_new_topics(controller: Controller, event: RequestReceived) -> Work[Judged]:
    request: k19.CreateTopicsRequest = event.message
    counts = Counter(t.name for t in request.topics)
    # '.' and '_' are the same in metric names: two topics may not differ in them alone.
    taken = {name.replace(".", "_"): name for name in controller.image.topics}
    left, room = PARTITIONS_MAX, Room(controller, PARTITIONS_MAX)
    records: list[MetadataRecord] = []
    results: list[k19.CreatableTopicResult] = []
    for requested in {t.name: t for t in request.topics}.values():
        if counts[requested.name] > 1:
            text = "The request names the topic more than once."
            results.append(_no_topic(requested.name, ErrorCode.INVALID_REQUEST, text))
            continue
        try:
            created = yield from _create(controller, requested, taken, left, room)
        except Refused as e:
            results.append(_no_topic(requested.name, e.code, e.text))
            continue
        partitions = [r for r in created if isinstance(r, PartitionRecord)]
        left -= len(partitions)
        taken[requested.name.replace(".", "_")] = requested.name
        topic_id = ZERO_UUID if request.validate_only else partitions[0].topic_id
        factor = len(partitions[0].replicas)
        result = k19.CreatableTopicResult(
            requested.name, topic_id, 0, None, 0, len(partitions), factor
        )
        if event.version >= 5:
            given = {c.name: c.value or "" for c in requested.configs}
            result.configs = _effective(controller, given)
        results.append(result)
        if not request.validate_only:
            records += created
    return records, k19.CreateTopicsResponse(topics=results)


def _no_topic(name: str, code: ErrorCode, text: str) -> k19.CreatableTopicResult:
    return k19.CreatableTopicResult(name, error_code=code, error_message=text)


def _create(
    controller: Controller,
    requested: k19.CreatableTopic,
    taken: dict[str, str],
    left: int,
    room: Room,
) -> Work[list[MetadataRecord]]:
    """Return the records of one new topic with at most ``left`` partitions.

    Raises:
        Refused
    """
    name = requested.name
    check_name(name)
    other = taken.get(name.replace(".", "_"))
    if other == name:
        raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    if other is not None:
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"Topic '{name}' collides with existing topic: {other}.",
        )
    try:
        check_topic_configs({c.name: c.value for c in requested.configs})
    except SettingError as e:
        raise Refused(ErrorCode.INVALID_CONFIG, str(e)) from e
    placement = _placement(controller, requested, left)
    room.take(placement)
    topic_id = controller.env.rng.uuid()
    records: list[MetadataRecord] = [TopicRecord(name, topic_id)]
    records += [ConfigRecord(TOPIC, name, c.name, c.value) for c in requested.configs]
    records += yield from _partitions(controller, topic_id, 0, placement)
    return records


def _placement(controller: Controller, requested: k19.CreatableTopic, left: int) -> list[list[int]]:
    """Return the replicas of each partition, as requested or chosen here.

    Raises:
        Refused
    """
    settings = controller.config
    if requested.assignments:
        if requested.num_partitions != -1 or requested.replication_factor != -1:
            raise Refused(
                ErrorCode.INVALID_REQUEST,
                "With a replica assignment, the number of partitions and the replication factor"
                " must be -1.",
            )
        by_number = {a.partition_index: list(a.broker_ids) for a in requested.assignments}
        if len(by_number) != len(requested.assignments):
            raise Refused(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "The assignment names a partition more than once.",
            )
        if sorted(by_number) != list(range(len(by_number))):
            raise Refused(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "Partitions must be numbered from 0 without a gap.",
            )
        # The bound is on the whole request, whoever places the replicas.
        check_count(len(by_number), left)
        placement = [by_number[n] for n in range(len(by_number))]
        # All partitions of a topic have the same number of replicas: the first sets it.
        for replicas in placement:
            _check_manual(controller, replicas, len(placement[0]))
        return placement
    partitions = (
        requested.num_partitions
        if requested.num_partitions != -1
        else settings.broker("num.partitions")
    )
    factor = requested.replication_factor
    if factor == -1:
        factor = settings.broker("default.replication.factor")
    if partitions < 1:
        raise Refused(ErrorCode.INVALID_PARTITIONS, "The number of partitions must be above 0.")
    if factor < 1:
        raise Refused(
            ErrorCode.INVALID_REPLICATION_FACTOR, "The replication factor must be above 0."
        )
    # Bound the number before anything of that size is built.
    check_count(partitions, left)
    return _choose(controller, partitions, factor)


def check_count(partitions: int, left: int) -> None:
    """Raises: Refused (POLICY_VIOLATION)."""
    if partitions > left:
        raise Refused(
            ErrorCode.POLICY_VIOLATION,
            f"Excessively large number of partitions: {PARTITIONS_MAX} per request at most.",
        )


def _choose(
    controller: Controller, partitions: int, factor: int, first: int = 0, after: int = -1
) -> list[list[int]]:
    """Choose the replicas of partitions from index ``first`` on; the first leader is
    the next broker after ``after``, if given.

    Raises:
        Refused (INVALID_REPLICATION_FACTOR)
    """
    image = controller.image
    candidates = [
        Candidate(b.broker_id, b.rack, image.eligible(b.broker_id)) for b in image.brokers.values()
    ]
    if factor > len(candidates):
        raise Refused(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {factor} time(s): The target replication factor"
            f" of {factor} cannot be reached because only {len(candidates)} broker(s) are"
            " registered.",
        )
    if not any(candidate.usable for candidate in candidates):
        raise Refused(
            ErrorCode.INVALID_REPLICATION_FACTOR, "All brokers are fenced or shutting down."
        )
    start = controller.env.rng.below(1 << 20)
    leaders = [candidate.broker_id for candidate in ring(candidates) if candidate.usable]
    # Continue where the topic's last partition ended, so that its leaders stay spread.
    if after in leaders:
        start += (leaders.index(after) + 1 - first - start) % len(leaders)
    return place(candidates, partitions, factor, start, first)


def _check_manual(controller: Controller, replicas: list[int], factor: int) -> None:
    """Raises: Refused (INVALID_REPLICA_ASSIGNMENT)."""
    wrong = ""
    unknown = [r for r in replicas if r not in controller.image.brokers]
    if not replicas:
        wrong = "A partition has no replicas."
    elif len(set(replicas)) != len(replicas):
        wrong = f"The replicas {replicas} name a broker twice."
    elif unknown:
        wrong = f"No broker with the id {unknown[0]} is registered."
    elif len(replicas) != factor:
        wrong = f"The replicas {replicas} are {len(replicas)}; the other partitions have {factor}."
    elif not any(controller.image.eligible(r) for r in replicas):
        wrong = f"All of the replicas {replicas} are fenced or shutting down."
    if wrong:
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, wrong)


def _partitions(
    controller: Controller, topic_id: UUID, first: int, placement: Sequence[list[int]]
) -> Work[list[PartitionRecord]]:
    """Return the records of new partitions, from number ``first`` on."""
    records = []
    for number, replicas in enumerate(placement, first):
        records.append(_partition(controller, topic_id, number, replicas))
        if len(records) % AT_ONCE == 0:
            yield AT_ONCE
    yield len(records) % AT_ONCE + ITEMS_A_TOPIC
    return records


def _partition(
    controller: Controller, topic_id: UUID, number: int, replicas: list[int]
) -> PartitionRecord:
    isr = [r for r in replicas if controller.image.eligible(r)]
    directories = []
    for replica in replicas:
        known = controller.image.brokers[replica].directory_ids
        directories.append(known[0] if known else ZERO_UUID)
    return PartitionRecord(
        partition_id=number,
        topic_id=topic_id,
        replicas=list(replicas),
        isr=isr,
        leader=isr[0],
        leader_recovery_state=RECOVERED,
        leader_epoch=0,
        partition_epoch=0,
        directories=directories,
    )


def _effective(controller: Controller, given: dict[str, str]) -> list[k19.CreatableTopicConfigs]:
    """The new topic's effective settings, which CreateTopics v5 returns."""
    return [
        k19.CreatableTopicConfigs(e.option.name, e.value, e.read_only, e.source, e.option.sensitive)
        for e in controller.config.describe_new_topic(given)
    ]


# ---- delete topics
def delete_topics(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Delete the topics of the request, named by name or by id."""
    request: k20.DeleteTopicsRequest = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    named = [*request.topics, *(k20.DeleteTopicState(name) for name in request.topic_names)]
    counts = Counter(_name_of(controller, state) for state in named)
    records: list[MetadataRecord] = []
    results: list[k20.DeletableTopicResult] = []
    for state in named:
        try:
            topic = _to_delete(controller, state)
            if counts[topic.name] > 1:
                raise Refused(
                    ErrorCode.INVALID_REQUEST, "The request names the topic more than once."
                )
        except Refused as e:
            results.append(k20.DeletableTopicResult(state.name, state.topic_id, e.code, e.text))
            continue
        records.append(RemoveTopicRecord(topic.topic_id))
        results.append(k20.DeletableTopicResult(topic.name, topic.topic_id, 0, None))
    if event.version < 6:
        for result in results:
            result.name = result.name or ""
    controller.reply(now_ms, event, records, k20.DeleteTopicsResponse(responses=results))


def _name_of(controller: Controller, state: k20.DeleteTopicState) -> str | None:
    return (
        state.name if state.name is not None else controller.image.topic_names.get(state.topic_id)
    )


def _to_delete(controller: Controller, state: k20.DeleteTopicState) -> TopicImage:
    """Raises: Refused."""
    if not controller.config.broker("delete.topic.enable"):
        raise Refused(ErrorCode.TOPIC_DELETION_DISABLED, "delete.topic.enable is false.")
    if state.name is not None and state.topic_id != ZERO_UUID:
        raise Refused(ErrorCode.INVALID_REQUEST, "Name the topic by its name or its id, not both.")
    if state.name is not None:
        topic = controller.image.topics.get(state.name)
        if topic is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This cluster has no such topic.")
        return topic
    if state.topic_id == ZERO_UUID:
        raise Refused(ErrorCode.INVALID_REQUEST, "The request names neither a name nor an id.")
    topic = controller.image.topic_by_id(state.topic_id)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_ID, "This cluster has no topic with this id.")
    return topic


# ---- create partitions
def create_partitions(
    controller: Controller, now_ms: int, event: RequestReceived
) -> Work[None] | None:
    """Add partitions to the topics of the request."""
    if not controller.is_active:
        controller.refuse(event)
        return None
    request: k37.CreatePartitionsRequest = event.message

    def basis() -> Hashable:
        topics = [controller.image.topics.get(t.name) for t in request.topics]
        return _brokers(controller), tuple(t and (t.topic_id, len(t.partitions)) for t in topics)

    return prepare(controller, now_ms, event, basis, partial(_judge_more, controller, event))


def _judge_more(controller: Controller, event: RequestReceived) -> Work[Judged]:
    request: k37.CreatePartitionsRequest = event.message
    counts = Counter(t.name for t in request.topics)
    left, room = PARTITIONS_MAX, Room(controller, PARTITIONS_MAX)
    records: list[MetadataRecord] = []
    results: list[k37.CreatePartitionsTopicResult] = []
    for requested in {t.name: t for t in request.topics}.values():
        if counts[requested.name] > 1:
            text = "The request names the topic more than once."
            results.append(
                k37.CreatePartitionsTopicResult(requested.name, ErrorCode.INVALID_REQUEST, text)
            )
            continue
        try:
            added = yield from _add_partitions(controller, requested, left, room)
        except Refused as e:
            results.append(k37.CreatePartitionsTopicResult(requested.name, e.code, e.text))
            continue
        left -= len(added)
        results.append(k37.CreatePartitionsTopicResult(requested.name, 0, None))
        if not request.validate_only:
            records += added
    return records, k37.CreatePartitionsResponse(results=results)


def _add_partitions(
    controller: Controller, requested: k37.CreatePartitionsTopic, left: int, room: Room
) -> Work[list[PartitionRecord]]:
    """Return the records of one topic's new partitions, at most ``left``.

    Raises:
        Refused
    """
    topic = controller.image.topics.get(requested.name)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This cluster has no such topic.")
    have = len(topic.partitions)
    if requested.count == have:
        raise Refused(ErrorCode.INVALID_PARTITIONS, f"Topic already has {have} partition(s).")
    # Kafka never removes partitions: their records would be lost.
    if requested.count < have:
        text = (
            f"The topic {requested.name} currently has {have} partition(s);"
            f" {requested.count} would not be an increase."
        )
        raise Refused(ErrorCode.INVALID_PARTITIONS, text)
    more = requested.count - have
    check_count(more, left)
    # New partitions get as many replicas as the first one has now.
    sample: PartitionImage = topic.partitions[0]
    factor = len(sample.replicas)
    if requested.assignments is not None:
        # The assignments are for the new partitions alone, in the order of their numbers.
        if len(requested.assignments) != more:
            text = (
                f"The request must assign replicas to every new partition: new {more},"
                f" assigned {len(requested.assignments)}."
            )
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, text)
        placement = [list(a.broker_ids) for a in requested.assignments]
        for replicas in placement:
            _check_manual(controller, replicas, factor)
    else:
        placement = _choose(
            controller, more, factor, have, after=topic.partitions[have - 1].replicas[0]
        )
    room.take(placement)
    return (yield from _partitions(controller, topic.topic_id, have, placement))
