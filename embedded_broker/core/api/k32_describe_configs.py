"""DescribeConfigs (32): settings with value, source, synonyms, type and documentation
(KIP-226, KIP-569).

Resources are topics and the receiving broker: by its own id, or with an empty name for
the settings made for all brokers. Secrets are null.
"""

from __future__ import annotations

from collections.abc import Sequence

from embedded_broker.core.api.slices import Steps
from embedded_broker.core.config import Entry
from embedded_broker.core.controller.refusals import shortened
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
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

Configs = list[DescribeConfigsResourceResult]
Shared = dict[tuple[int, frozenset[str] | None], tuple[Sequence[Entry], Configs]]
"""Identity of the entries, settings asked for -> the entries, what the response says of them."""

UNSHARED = 100
"""The work of describing what is not shared, in items of slices."""


def describe_configs(env: Environment, now_ms: int, event: RequestReceived) -> Steps:
    """Describe each resource of the request."""
    message: DescribeConfigsRequest = event.message
    response = DescribeConfigsResponse()
    shared: Shared = {}
    # A resource that is named twice is described once.
    distinct = {(r.resource_type, r.resource_name): r for r in message.resources}
    for resource in distinct.values():
        before = len(shared)
        response.results.append(_describe(env, message, resource, shared))
        yield 1 + len(resource.configuration_keys or ()) + UNSHARED * (len(shared) - before)
    env.outbox.respond(event, response)


def _describe(
    env: Environment,
    message: DescribeConfigsRequest,
    resource: DescribeConfigsResource,
    shared: Shared,
) -> DescribeConfigsResult:
    name = resource.resource_name
    result = DescribeConfigsResult(0, None, resource.resource_type, name)
    entries: Sequence[Entry] = ()
    if resource.resource_type == TOPIC:
        if name in env.image.topics:
            entries = env.config.describe_topic(name)
        else:
            result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            result.error_message = shortened(f"There is no topic {name}.")
    elif resource.resource_type == BROKER:
        if not name:
            entries = env.config.describe_cluster_defaults()
        elif name == str(env.node_id):
            entries = env.config.describe_broker()
        else:
            result.error_code = ErrorCode.INVALID_REQUEST
            result.error_message = shortened(
                f"The request is for broker {name}, but this is broker {env.node_id}."
            )
    else:
        result.error_code = ErrorCode.INVALID_REQUEST
        result.error_message = (
            f"Resource type {resource.resource_type} has no settings; use topic (2) or broker (4)."
        )
    wanted = frozenset(resource.configuration_keys) if resource.configuration_keys else None
    same = shared.get((id(entries), wanted))
    if same is None:
        configs = [
            _result(entry, message)
            for entry in entries
            if wanted is None or entry.option.name in wanted
        ]
        same = shared[id(entries), wanted] = entries, configs
    result.configs = same[1]
    return result


def _result(entry: Entry, message: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
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
