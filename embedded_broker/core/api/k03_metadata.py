"""Metadata (3): brokers, and topics with their leaders, as this node's image has them.

* No topic named: all (version 0: an empty list means all, from 1 on null does). Topics may be
  asked for by id (v12).
* A topic that is missing is created when the broker's settings and the request allow it, and is
  answered LEADER_NOT_AVAILABLE meanwhile, or with its partitions when they are known in time.
* A partition without a leader is LEADER_NOT_AVAILABLE with leader -1, never
  UNKNOWN_TOPIC_OR_PARTITION; a leader that has no endpoint on the caller's listener is
  LISTENER_NOT_FOUND (LEADER_NOT_AVAILABLE before version 6).
* ``controller_id`` is the quorum's leader when this node knows it and it is alive, else any live
  broker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kafka_protocol.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived
    from embedded_broker.core.metadata.image import PartitionImage, TopicImage

INTERNAL_TOPICS = ("__consumer_offsets", "__transaction_state", "__share_group_state")
LISTENER_NOT_FOUND_SINCE = 6
CREATE_VERSION = 7
CREATE_TIMEOUT_MS = 5_000
OPERATIONS_ALL_OF_TOPIC = 0b0000_1101_1111_1000
OPERATIONS_ALL_OF_CLUSTER = 0b0001_1111_1010_0000
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def legal_topic_name(name: str) -> bool:
    return name not in (".", "..") and _LEGAL_NAME.fullmatch(name) is not None


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    missing = _to_create(broker, event)
    if not missing:
        _respond(broker, event)
        return

    def created(_now_ms: int, response: Any, reason: str) -> None:
        refused = {}
        if response is not None:
            refused = {
                topic.name: topic.error_code
                for topic in response.topics
                if topic.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
            }
        _respond(broker, event, refused, creating=missing)

    create = CreateTopicsRequest(
        topics=[CreatableTopic(name, num_partitions=-1, replication_factor=-1) for name in missing],
        timeout_ms=CREATE_TIMEOUT_MS,
    )
    broker.channel.call(now_ms, create, CREATE_VERSION, CREATE_TIMEOUT_MS, created)


def _to_create(broker: Broker, event: RequestReceived) -> list[str]:
    request: MetadataRequest = event.message
    if not request.topics or not (event.version < 4 or request.allow_auto_topic_creation):
        return []
    if not broker.config.broker("auto.create.topics.enable"):
        return []
    names = [topic.name for topic in request.topics if topic.name and topic.topic_id.int == 0]
    return [n for n in dict.fromkeys(names) if n not in broker.image.topics and legal_topic_name(n)]


def _respond(
    broker: Broker,
    event: RequestReceived,
    refused: dict[str, int] | None = None,
    creating: list[str] | None = None,
) -> None:
    request: MetadataRequest = event.message
    image = broker.image
    listener = event.caller.listener
    live = list(broker.replicas.endpoints(listener, sorted(image.brokers)))
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(*endpoint) for endpoint in live],
        cluster_id=image.cluster_id or None,
        controller_id=controller_id(broker, [endpoint[0] for endpoint in live]),
    )
    reachable = {endpoint[0] for endpoint in live}
    every = request.topics is None or (event.version == 0 and not request.topics)
    if every:
        response.topics = [
            _topic(broker, image.topics[name], reachable, event.version)
            for name in sorted(image.topics)
        ]
    else:
        for asked in request.topics or ():
            response.topics.append(
                _asked(broker, asked, reachable, event.version, refused or {}, creating or [])
            )
    if request.include_topic_authorized_operations:
        for topic in response.topics:
            if topic.error_code == ErrorCode.NONE:
                topic.topic_authorized_operations = OPERATIONS_ALL_OF_TOPIC
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = OPERATIONS_ALL_OF_CLUSTER
    broker.outbox.respond(event, response)


def controller_id(broker: Broker, live: list[int]) -> int:
    leader: int = broker.quorum.leader_id if broker.quorum.leader_id is not None else -1
    if leader in live:
        return leader
    return min(live, default=-1)


def _asked(
    broker: Broker,
    asked: MetadataRequestTopic,
    reachable: set[int],
    version: int,
    refused: dict[str, int],
    creating: list[str],
) -> MetadataResponseTopic:
    if asked.topic_id.int:
        by_id = broker.image.topic_by_id(asked.topic_id)
        if by_id is None:
            return MetadataResponseTopic(ErrorCode.UNKNOWN_TOPIC_ID, None, asked.topic_id)
        return _topic(broker, by_id, reachable, version)
    name = asked.name or ""
    topic = broker.image.topics.get(name)
    if topic is not None:
        return _topic(broker, topic, reachable, version)
    if not legal_topic_name(name):
        return MetadataResponseTopic(ErrorCode.INVALID_TOPIC_EXCEPTION, name)
    code = refused.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if name in creating and name not in refused:
        code = ErrorCode.LEADER_NOT_AVAILABLE
    return MetadataResponseTopic(code, name, is_internal=name in INTERNAL_TOPICS)


def _topic(
    broker: Broker, topic: TopicImage, reachable: set[int], version: int
) -> MetadataResponseTopic:
    partitions = topic.partitions
    return MetadataResponseTopic(
        ErrorCode.NONE,
        topic.name,
        topic.topic_id,
        topic.name in INTERNAL_TOPICS,
        [_partition(partitions[index], reachable, version) for index in sorted(partitions)],
    )


def _partition(
    image: PartitionImage, reachable: set[int], version: int
) -> MetadataResponsePartition:
    code = ErrorCode.NONE
    if image.leader < 0:
        code = ErrorCode.LEADER_NOT_AVAILABLE
    elif image.leader not in reachable:
        later = version >= LISTENER_NOT_FOUND_SINCE
        code = ErrorCode.LISTENER_NOT_FOUND if later else ErrorCode.LEADER_NOT_AVAILABLE
    offline = [b for b in image.replicas if b not in reachable]
    return MetadataResponsePartition(
        code, image.partition, image.leader if code == ErrorCode.NONE else -1, image.leader_epoch,
        list(image.replicas), list(image.isr), offline,
    )  # fmt: skip
