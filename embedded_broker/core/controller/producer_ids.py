"""AllocateProducerIds (67): give a broker the next block of producer ids, so that no
two producers of the cluster get the same."""

from __future__ import annotations

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.records import ProducerIdsRecord
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k67_allocate_producer_ids import AllocateProducerIdsResponse

BLOCK = 1000


def allocate_producer_ids(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Allocate a block of BLOCK ids."""
    request = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    if event.caller.broker_id != request.broker_id:
        controller.refuse(event, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        return
    broker = controller.image.brokers.get(request.broker_id)
    if broker is None or broker.broker_epoch != request.broker_epoch:
        controller.refuse(event, ErrorCode.STALE_BROKER_EPOCH)
        return
    start = controller.image.next_producer_id
    record = ProducerIdsRecord(request.broker_id, request.broker_epoch, start + BLOCK)
    controller.reply(now_ms, event, [record], AllocateProducerIdsResponse(0, 0, start, BLOCK))
