"""InitProducerId (22): an id for an idempotent producer, unique in the cluster.

Brokers draw ids from blocks that the controller hands out, so that two brokers never give the
same one. A producer that already has an id and epoch gets the next epoch of it (version 3 on), or
a new id when epochs are used up. Transactions are not offered yet: a transactional id is refused
with INVALID_REQUEST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k22_init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: InitProducerIdRequest = event.message
    if request.transactional_id is not None:
        broker.outbox.respond(event, InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST))
        return

    def done(producer_id: int, error_code: int) -> None:
        broker.outbox.respond(
            event, InitProducerIdResponse(0, error_code, producer_id, 0 if producer_id >= 0 else -1)
        )

    broker.replicas.producer_ids.draw(now_ms, done)
