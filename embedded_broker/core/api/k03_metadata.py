"""Metadata (3): the brokers, and topics with their leaders, as in this node's image.

* A null list of topics asks for all (in version 0 an empty list does). From version 12
  on topics may be named by id; before, a response has no room for a topic without a name,
  and a request with an id or a null name gets INVALID_REQUEST.
* A missing topic is created if the broker's settings and the request allow it; the
  response has its partitions if they are known in time, else LEADER_NOT_AVAILABLE.
* A partition without a leader gets LEADER_NOT_AVAILABLE and leader -1, never
  UNKNOWN_TOPIC_OR_PARTITION. A leader without an endpoint on the caller's listener gets
  LISTENER_NOT_FOUND (LEADER_NOT_AVAILABLE before version 6).
* ``controller_id`` is the quorum's leader if this node knows it and it is alive, else
  any live broker.
"""

from __future__ import annotations

import re
from collections import deque

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.controller.ports import LeaderInfo
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import MetadataImage, PartitionImage, TopicImage
from embedded_broker.core.metadata.topics import INTERNAL_TOPICS
from embedded_broker.core.ports import ControllerCalls
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kafka_protocol.messages.k19_create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

LISTENER_NOT_FOUND_SINCE = 6
BY_ID_SINCE = 12
CREATE_VERSION = 7
CREATE_TIMEOUT_MS = 5_000
OPERATIONS_ALL_OF_TOPIC = 0b0000_1101_1111_1000
OPERATIONS_ALL_OF_CLUSTER = 0b0001_1111_1010_0000
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def legal_topic_name(name: str) -> bool:
    """Return whether a topic may have this name."""
    return name not in (".", "..") and _LEGAL_NAME.fullmatch(name) is not None


def metadata(
    env: Environment,
    quorum: LeaderInfo,
    calls: ControllerCalls,
    now_ms: int,
    event: RequestReceived,
) -> Steps | None:
    """Describe the cluster, after creating missing topics where that is allowed."""
    if event.version < BY_ID_SINCE and not _all_named(event.message):
        env.outbox.respond(event, _refused(event.message))
        return None
    missing = _to_create(env, event)
    if not missing:
        return _respond(env, quorum, event)

    def created(_now_ms: int, response: CreateTopicsResponse | None, reason: str) -> None:
        refused = {}
        if response is not None:
            refused = {
                topic.name: topic.error_code
                for topic in response.topics
                if topic.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
            }
        deque(_respond(env, quorum, event, refused, creating=missing), maxlen=0)

    create = CreateTopicsRequest(
        topics=[CreatableTopic(name, num_partitions=-1, replication_factor=-1) for name in missing],
        timeout_ms=CREATE_TIMEOUT_MS,
    )
    calls.call(now_ms, create, CREATE_VERSION, CREATE_TIMEOUT_MS, created)
    return None


def _all_named(request: MetadataRequest) -> bool:
    return all(t.name is not None and t.topic_id.int == 0 for t in request.topics or ())


def _refused(request: MetadataRequest) -> MetadataResponse:
    code = ErrorCode.INVALID_REQUEST
    return MetadataResponse(
        topics=[MetadataResponseTopic(code, topic.name or "") for topic in request.topics or ()]
    )


def _to_create(env: Environment, event: RequestReceived) -> list[str]:
    """The missing topics that the request creates."""
    request: MetadataRequest = event.message
    if not request.topics or not (event.version < 4 or request.allow_auto_topic_creation):
        return []
    if not env.config.broker("auto.create.topics.enable"):
        return []
    names = [topic.name for topic in request.topics if topic.name and topic.topic_id.int == 0]
    return [n for n in dict.fromkeys(names) if n not in env.image.topics and legal_topic_name(n)]


def _respond(
    env: Environment,
    quorum: LeaderInfo,
    event: RequestReceived,
    refused: dict[str, int] | None = None,
    creating: list[str] | None = None,
) -> Steps:
    request: MetadataRequest = event.message
    image = env.image
    listener = event.caller.listener
    live = list(image.endpoints(listener, sorted(image.brokers)))
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(*endpoint) for endpoint in live],
        cluster_id=image.cluster_id or None,
        controller_id=controller_id(quorum, [endpoint[0] for endpoint in live]),
    )
    reachable = {endpoint[0] for endpoint in live}
    every = request.topics is None or (event.version == 0 and not request.topics)
    if every:
        for name in sorted(image.topics):
            # It may have been deleted between two steps.
            if name in image.topics:
                response.topics.append(_topic(image.topics[name], reachable, event.version))
                yield 1 + len(response.topics[-1].partitions)
    else:
        # A topic that is named twice is described once, as by Kafka.
        distinct = {(topic.topic_id, topic.name): topic for topic in request.topics or ()}
        for requested in distinct.values():
            response.topics.append(
                _named(image, requested, reachable, event.version, refused or {}, creating or [])
            )
            yield 1 + len(response.topics[-1].partitions)
    if request.include_topic_authorized_operations:
        for topic in response.topics:
            if topic.error_code == ErrorCode.NONE:
                topic.topic_authorized_operations = OPERATIONS_ALL_OF_TOPIC
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = OPERATIONS_ALL_OF_CLUSTER
    env.outbox.respond(event, response)


def controller_id(quorum: LeaderInfo, live: list[int]) -> int:
    """The broker that a client should take for the controller; -1 when none is
    alive."""
    leader = quorum.leader_id
    if leader in live:
        return leader
    return min(live, default=-1)


def _named(
    image: MetadataImage,
    requested: MetadataRequestTopic,
    reachable: set[int],
    version: int,
    refused: dict[str, int],
    creating: list[str],
) -> MetadataResponseTopic:
    """A topic that the request names."""
    if requested.topic_id.int:
        by_id = image.topic_by_id(requested.topic_id)
        if by_id is None:
            return MetadataResponseTopic(ErrorCode.UNKNOWN_TOPIC_ID, None, requested.topic_id)
        return _topic(by_id, reachable, version)
    name = requested.name or ""
    topic = image.topics.get(name)
    if topic is not None:
        return _topic(topic, reachable, version)
    if not legal_topic_name(name):
        return MetadataResponseTopic(ErrorCode.INVALID_TOPIC_EXCEPTION, name)
    code = refused.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if name in creating and name not in refused:
        code = ErrorCode.LEADER_NOT_AVAILABLE
    return MetadataResponseTopic(code, name, is_internal=name in INTERNAL_TOPICS)


def _topic(topic: TopicImage, reachable: set[int], version: int) -> MetadataResponseTopic:
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
