"""DescribeConfigs (api key 32): settings with value, source, synonyms, type and text (KIP-226,
KIP-569).

Topics, and the broker that is asked: its own id, or the empty name for what is set for all
brokers. Secrets are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.config import Entry
from embedded_broker.core.metadata.image import BROKER, TOPIC
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    results = [_describe(broker, event.message, resource) for resource in event.message.resources]
    broker.outbox.respond(event, DescribeConfigsResponse(results=results))


def _describe(
    broker: Broker, message: DescribeConfigsRequest, resource: DescribeConfigsResource
) -> DescribeConfigsResult:
    name = resource.resource_name
    result = DescribeConfigsResult(0, None, resource.resource_type, name)
    entries: list[Entry] = []
    if resource.resource_type == TOPIC:
        if name in broker.image.topics:
            entries = broker.config.describe_topic(name)
        else:
            result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            result.error_message = f"There is no topic {name}."
    elif resource.resource_type == BROKER:
        if not name:
            entries = broker.config.describe_cluster_defaults()
        elif name == str(broker.node_id):
            entries = broker.config.describe_broker()
        else:
            result.error_code = ErrorCode.INVALID_REQUEST
            result.error_message = (
                f"Broker {name} was asked for, but this is broker {broker.node_id}."
            )
    else:
        result.error_code = ErrorCode.INVALID_REQUEST
        result.error_message = (
            f"Resource type {resource.resource_type} has no settings here: topic (2), broker (4)."
        )
    wanted = set(resource.configuration_keys) if resource.configuration_keys else None
    result.configs = [
        _told(entry, message) for entry in entries if wanted is None or entry.option.name in wanted
    ]
    return result


def _told(entry: Entry, message: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    option = entry.option
    synonyms = entry.synonyms if message.include_synonyms else []
    return DescribeConfigsResourceResult(
        option.name,
        entry.value,
        entry.read_only,
        entry.source,
        option.sensitive,
        [DescribeConfigsSynonym(*synonym) for synonym in synonyms],
        option.type,
        option.explanation if message.include_documentation else None,
    )
