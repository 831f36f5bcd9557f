"""InitProducerId (22): an id for an idempotent producer, unique in the cluster.

Brokers draw ids from blocks that the controller allocates, so two brokers never return
the same one. A producer that already has an id gets a new one, with epoch 0.
Transactions are not supported yet: a transactional id gets INVALID_REQUEST.
"""

from __future__ import annotations

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k22_init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)


def init_producer_id(replicas: Replicas, now_ms: int, event: RequestReceived) -> None:
    """Return a new producer id; the response waits for a block from the controller if
    needed."""
    request: InitProducerIdRequest = event.message
    outbox = replicas.env.outbox
    if request.transactional_id is not None:
        outbox.respond(event, InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST))
        return

    def done(producer_id: int, error_code: int) -> None:
        epoch = 0 if producer_id >= 0 else -1
        outbox.respond(event, InitProducerIdResponse(0, error_code, producer_id, epoch))

    replicas.producer_ids.draw(now_ms, done)
