"""DescribeCluster (60): the live brokers, and the fenced ones if the request asks for
them.

This node answers for brokers. Controllers (endpoint type 2) have no listener of their
own here and get MISMATCHED_ENDPOINT_TYPE; any other type gets
UNSUPPORTED_ENDPOINT_TYPE.
"""

from __future__ import annotations

from embedded_broker.core.api.k03_metadata import OPERATIONS_ALL_OF_CLUSTER, controller_id
from embedded_broker.core.controller.ports import LeaderInfo
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from kafka_protocol.constants import EndpointType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)


def describe_cluster(
    env: Environment, quorum: LeaderInfo, now_ms: int, event: RequestReceived
) -> None:
    """Describe the cluster as this node's image has it."""
    request: DescribeClusterRequest = event.message
    if request.endpoint_type != EndpointType.BROKERS:
        mismatched = request.endpoint_type == EndpointType.CONTROLLERS
        response = DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE
            if mismatched
            else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message="This listener is for brokers, not for controllers."
            if mismatched
            else f"Unknown endpoint type {request.endpoint_type}.",
        )
        env.outbox.respond(event, response)
        return
    image = env.image
    response = DescribeClusterResponse(cluster_id=image.cluster_id)
    for broker_id in sorted(image.brokers):
        broker = image.brokers[broker_id]
        if broker.fenced and not request.include_fenced_brokers:
            continue
        for endpoint in broker.endpoints:
            if endpoint.listener == event.caller.listener:
                response.brokers.append(
                    DescribeClusterBroker(
                        broker_id, endpoint.host, endpoint.port, broker.rack, broker.fenced
                    )
                )
                break
    live = [b.broker_id for b in response.brokers if not b.is_fenced]
    response.controller_id = controller_id(quorum, live)
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = OPERATIONS_ALL_OF_CLUSTER
    env.outbox.respond(event, response)
