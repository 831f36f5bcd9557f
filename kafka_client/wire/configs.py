"""Settings of brokers and topics: DescribeConfigs, IncrementalAlterConfigs.

confluent-kafka cannot name the cluster-wide default of brokers. A broker's own settings
are read from and written to itself, all others through any broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from kafka_client.error_map import from_code
from kafka_client.errors import ClientError, Rejected
from kafka_client.model import ConfigChange, ConfigEntry, ConfigResource, ConfigSource
from kafka_client.wire.metadata import STALE_METADATA
from kafka_client.wire.pool import ConnectionPool
from kafka_protocol import constants
from kafka_protocol.constants import ConfigOperation, ConfigResourceType
from kafka_protocol.fields import Message
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from kafka_protocol.messages.k44_incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

RETRY_AFTER_S = (0.1, 0.3)
"""A broker may not know a new topic for a moment."""

_SOURCES: dict[int, ConfigSource] = {
    constants.ConfigSource.TOPIC: ConfigSource.TOPIC,
    constants.ConfigSource.BROKER: ConfigSource.BROKER,
    constants.ConfigSource.CLUSTER: ConfigSource.CLUSTER,
    constants.ConfigSource.FILE: ConfigSource.FILE,
    constants.ConfigSource.DEFAULT: ConfigSource.DEFAULT,
    constants.ConfigSource.BROKER_LOGGER: ConfigSource.BROKER,
}
_KINDS = ["unknown", *"boolean string int short long double list class password".split()]
_UNIT_MS = {".hours": 3_600_000, ".minutes": 60_000, ".seconds": 1_000}

Entries = dict[ConfigResource, tuple[ConfigEntry, ...]]


async def configs(pool: ConnectionPool, resources: Sequence[ConfigResource]) -> Entries:
    """See ``api.ClusterReader``. Raises: ClientError for the first resource that is
    refused."""
    for wait_s in RETRY_AFTER_S:
        try:
            return await _configs(pool, resources)
        except Rejected as error:
            if error.code not in STALE_METADATA:
                raise
        await asyncio.sleep(wait_s)
    return await _configs(pool, resources)


async def _configs(pool: ConnectionPool, resources: Sequence[ConfigResource]) -> Entries:
    by_broker: dict[int | None, list[ConfigResource]] = {}
    for resource in resources:
        by_broker.setdefault(_broker_of(resource), []).append(resource)
    requests = (_describe(pool, broker_id, part) for broker_id, part in by_broker.items())
    entries: Entries = {}
    for response in await asyncio.gather(*requests):
        for result in response.results:
            resource = _resource(result.resource_type, result.resource_name)
            if result.error_code:
                raise _refused("read the settings of", resource, result)
            in_order = sorted(result.configs, key=lambda config: config.name)
            entries[resource] = tuple(_entry(config) for config in in_order)
    return entries


async def _describe(
    pool: ConnectionPool, broker_id: int | None, part: Sequence[ConfigResource]
) -> DescribeConfigsResponse:
    request = DescribeConfigsRequest(
        [DescribeConfigsResource(_type(r), r.name, configuration_keys=None) for r in part],
        include_synonyms=True,
        include_documentation=True,
    )
    response: DescribeConfigsResponse = await _send(pool, broker_id, request)
    return response


async def alter_configs(
    pool: ConnectionPool, changes: Sequence[ConfigChange], validate_only: bool
) -> None:
    """See ``api.ClusterWriter``: one request for each broker's own settings, one for
    all others.

    Raises:
        ClientError: for the first resource that is refused; those of other requests may
        have been
            changed then.
    """
    by_broker: dict[int | None, dict[ConfigResource, list[AlterableConfig]]] = {}
    for change in changes:
        operation = ConfigOperation.DELETE if change.value is None else ConfigOperation.SET
        by_resource = by_broker.setdefault(_broker_of(change.resource), {})
        by_resource.setdefault(change.resource, []).append(
            AlterableConfig(change.name, operation, change.value)
        )
    for broker_id, by_resource in by_broker.items():
        request = IncrementalAlterConfigsRequest(
            [
                AlterConfigsResource(_type(resource), resource.name, operations)
                for resource, operations in by_resource.items()
            ],
            validate_only,
        )
        response: IncrementalAlterConfigsResponse = await _send(pool, broker_id, request)
        for result in response.responses:
            if result.error_code:
                resource = _resource(result.resource_type, result.resource_name)
                raise _refused("change settings of", resource, result)


# ---- resources
def _broker_of(resource: ConfigResource) -> int | None:
    """The broker that a resource's requests go to; None for any."""
    own = resource.kind == "broker" and resource.name.isdigit()
    return int(resource.name) if own else None


def _type(resource: ConfigResource) -> int:
    is_topic = resource.kind == "topic"
    return ConfigResourceType.TOPIC if is_topic else ConfigResourceType.BROKER


def _resource(resource_type: int, name: str) -> ConfigResource:
    return ConfigResource("topic" if resource_type == ConfigResourceType.TOPIC else "broker", name)


async def _send(pool: ConnectionPool, broker_id: int | None, request: Message) -> Any:
    if broker_id is None:
        return await pool.request_any(request)
    return await pool.request(broker_id, request)


def _refused(
    doing: str,
    resource: ConfigResource,
    result: DescribeConfigsResult | AlterConfigsResourceResponse,
) -> ClientError:
    return from_code(
        result.error_code,
        f"{doing} {resource.kind} {resource.name or 'default'}",
        subject=resource.name,
        detail=result.error_message,
    )


# ---- entries
def _entry(config: DescribeConfigsResourceResult) -> ConfigEntry:
    synonyms = tuple(
        (s.name, s.value, _SOURCES.get(s.source, ConfigSource.UNKNOWN)) for s in config.synonyms
    )
    kind = config.config_type
    source = _SOURCES.get(config.config_source, ConfigSource.UNKNOWN)
    value = None if config.is_sensitive else config.value
    return ConfigEntry(
        config.name,
        value,
        source,
        config.read_only,
        config.is_sensitive,
        _KINDS[kind] if 0 <= kind < len(_KINDS) else "unknown",
        config.documentation or "",
        value if source is ConfigSource.DEFAULT else _default(config.name, synonyms),
        synonyms,
    )


def _default(name: str, synonyms: Sequence[tuple[str, str | None, ConfigSource]]) -> str | None:
    """The default in the setting's own unit: brokers name that of retention.ms as
    log.retention.hours=168."""
    for synonym, value, source in synonyms:
        if source is not ConfigSource.DEFAULT:
            continue
        unit_ms = next((ms for unit, ms in _UNIT_MS.items() if synonym.endswith(unit)), None)
        if name.endswith(".ms") and unit_ms and value is not None and value.isdigit():
            return str(int(value) * unit_ms)
        return value
    return None
