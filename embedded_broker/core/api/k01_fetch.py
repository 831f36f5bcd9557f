"""Fetch (1): consumers, followers, and the voters of the metadata log.

* A caller that claims to be a replica must have authenticated as that broker, else
  every partition gets TOPIC_AUTHORIZATION_FAILED (CVE-2018-1288: a replica's fetches
  move the high watermark).
* Followers get incremental sessions. Clients get session id 0, which makes each of
  their fetches full; a client that names a session gets FETCH_SESSION_ID_NOT_FOUND.
"""

from __future__ import annotations

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.topics import METADATA_TOPIC_ID
from embedded_broker.core.quorum import requests
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

REPLICA_STATE_SINCE = 15
TOPIC_ID_SINCE = 13


def fetch(replicas: Replicas, quorum: Quorum, now_ms: int, event: RequestReceived) -> None:
    """Pass the request to the machine that serves this kind of reader."""
    request: FetchRequest = event.message
    in_state = event.version >= REPLICA_STATE_SINCE
    replica_id = request.replica_state.replica_id if in_state else request.replica_id
    if replica_id >= 0 or event.caller.broker_id >= 0:
        if replica_id != event.caller.broker_id:
            _refuse(replicas, event)
        elif len(request.topics) == 1 and request.topics[0].topic_id == METADATA_TOPIC_ID:
            requests.fetch(quorum, now_ms, event)
        elif event.version < TOPIC_ID_SINCE:
            # Brokers of this cluster name topics by id, as the metadata does.
            _refuse(replicas, event)
        else:
            broker_epoch = request.replica_state.replica_epoch
            replicas.sessions.fetch(now_ms, event, replica_id, broker_epoch)
    elif request.session_epoch > 0:
        error = ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        replicas.env.outbox.respond(event, FetchResponse(error_code=error))
    else:
        replicas.client_fetches.fetch(event)


def _refuse(replicas: Replicas, event: RequestReceived) -> None:
    request: FetchRequest = event.message
    response = FetchResponse()
    for topic in request.topics:
        topic_response = FetchableTopicResponse(topic.topic, topic.topic_id)
        for requested in topic.partitions:
            code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            topic_response.partitions.append(
                PartitionData(requested.partition, code, high_watermark=-1, records=b"")
            )
        response.responses.append(topic_response)
    replicas.env.outbox.respond(event, response)
