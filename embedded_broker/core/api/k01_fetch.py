"""Fetch (1): consumers, followers, and the voters of the metadata log.

* A caller that claims to be a replica must have proved to be that broker, else every partition is
  answered TOPIC_AUTHORIZATION_FAILED (CVE-2018-1288: who may fetch as a replica may move the high
  watermark).
* Followers get incremental sessions; clients are answered with session id 0, which makes each of
  their fetches full.
* A client that names a session has none here: FETCH_SESSION_ID_NOT_FOUND.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived

METADATA_TOPIC_ID = UUID(int=1)
REPLICA_STATE_SINCE = 15
TOPIC_ID_SINCE = 13


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: FetchRequest = event.message
    own = event.version >= REPLICA_STATE_SINCE
    replica_id = request.replica_state.replica_id if own else request.replica_id
    if replica_id >= 0 or event.caller.broker_id >= 0:
        if replica_id != event.caller.broker_id:
            _refuse(broker, event)
        elif len(request.topics) == 1 and request.topics[0].topic_id == METADATA_TOPIC_ID:
            broker.quorum.fetch(now_ms, event)
        elif event.version < TOPIC_ID_SINCE:
            _refuse(broker, event)
        else:
            broker.replicas.sessions.fetch(
                now_ms, event, replica_id, request.replica_state.replica_epoch
            )
    elif request.session_epoch > 0:
        broker.outbox.respond(event, FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND))
    else:
        broker.replicas.client_fetches.fetch(event)


def _refuse(broker: Broker, event: RequestReceived) -> None:
    request: FetchRequest = event.message
    response = FetchResponse()
    for topic in request.topics:
        answers = FetchableTopicResponse(topic.topic, topic.topic_id)
        for asked in topic.partitions:
            code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            answers.partitions.append(
                PartitionData(asked.partition, code, high_watermark=-1, records=b"")
            )
        response.responses.append(answers)
    broker.outbox.respond(event, response)
