"""DescribeCluster (60): the brokers that are alive, and on wish the fenced ones.

This node answers for brokers; controllers (endpoint type 2) have no listener of their own here:
MISMATCHED_ENDPOINT_TYPE, and UNSUPPORTED_ENDPOINT_TYPE for what is neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.api.k03_metadata import OPERATIONS_ALL_OF_CLUSTER, controller_id
from kafka_protocol.constants import EndpointType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: DescribeClusterRequest = event.message
    if request.endpoint_type != EndpointType.BROKERS:
        mismatched = request.endpoint_type == EndpointType.CONTROLLERS
        response = DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE
            if mismatched
            else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message="this listener is for brokers"
            if mismatched
            else "no such type of endpoint",
        )
        broker.outbox.respond(event, response)
        return
    image = broker.image
    response = DescribeClusterResponse(cluster_id=image.cluster_id)
    for broker_id in sorted(image.brokers):
        found = image.brokers[broker_id]
        if found.fenced and not request.include_fenced_brokers:
            continue
        for endpoint in found.endpoints:
            if endpoint.listener == event.caller.listener:
                response.brokers.append(
                    DescribeClusterBroker(
                        broker_id, endpoint.host, endpoint.port, found.rack, found.fenced
                    )
                )
                break
    live = [b.broker_id for b in response.brokers if not b.is_fenced]
    response.controller_id = controller_id(broker, live)
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = OPERATIONS_ALL_OF_CLUSTER
    broker.outbox.respond(event, response)
