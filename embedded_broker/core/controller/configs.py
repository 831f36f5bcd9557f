"""AlterConfigs (33) and IncrementalAlterConfigs (44, KIP-339): change settings at run
time. They are validated by the declarations in ``options`` and stored in the metadata
log.

AlterConfigs replaces all settings of a resource: those that it does not name are
removed. IncrementalAlterConfigs sets and removes single settings, and appends to and
subtracts from lists. Resources are topics, single brokers, and (with an empty name) all
brokers. A broker setting must be dynamic: per-broker settings may be set for one
broker, cluster-wide ones for one or for all (KIP-226). The changes of one resource are
made all or not at all.
"""

from __future__ import annotations

from collections import Counter

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.refusals import Refused
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import BROKER, TOPIC
from embedded_broker.core.metadata.records import ConfigRecord
from embedded_broker.options import (
    OPTIONS,
    TOPIC_OPTIONS,
    Dynamic,
    Option,
    SettingError,
    Type,
    check_topic_configs,
)
from embedded_broker.options.names import unknown
from kafka_protocol.constants import ConfigOperation
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message
from kafka_protocol.messages import k33_alter_configs as k33
from kafka_protocol.messages import k44_incremental_alter_configs as k44

Changes = dict[str, str | None]
"""Setting -> its new value; None removes it."""


def alter_configs(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Carry out AlterConfigs or IncrementalAlterConfigs."""
    message: k33.AlterConfigsRequest | k44.IncrementalAlterConfigsRequest = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    counts = Counter((r.resource_type, r.resource_name) for r in message.resources)
    records: list[ConfigRecord] = []
    results: list[tuple[int, str | None, int, str]] = []
    """(error code, message, resource type, resource name)"""
    for resource in message.resources:
        key = (resource.resource_type, resource.resource_name)
        try:
            if counts[key] > 1:
                raise Refused(
                    ErrorCode.INVALID_REQUEST,
                    "The request names the resource more than once.",
                )
            records += _change(controller, resource)
            results.append((0, None, *key))
        except Refused as e:
            results.append((e.code, e.text, *key))
    if message.validate_only:
        records = []
    response: Message
    if isinstance(message, k33.AlterConfigsRequest):
        response = k33.AlterConfigsResponse(
            responses=[k33.AlterConfigsResourceResponse(*r) for r in results]
        )
    else:
        response = k44.IncrementalAlterConfigsResponse(
            responses=[k44.AlterConfigsResourceResponse(*r) for r in results]
        )
    controller.reply(now_ms, event, records, response)


def _change(
    controller: Controller, resource: k33.AlterConfigsResource | k44.AlterConfigsResource
) -> list[ConfigRecord]:
    """Return the records that change one resource.

    Raises:
        Refused
    """
    kind, name = resource.resource_type, resource.resource_name
    before = controller.image.configs.get((kind, name), {})
    options = _options(controller, kind, name)
    try:
        if isinstance(resource, k33.AlterConfigsResource):
            changes: Changes = {c.name: c.value for c in resource.configs}
            for key in changes:
                _option(options, key, kind)
            changes.update({key: None for key in before if key not in changes})
        else:
            changes = _incremental(controller, resource, options, before)
        after = {**before}
        for key in sorted(changes):
            value = changes[key]
            if value is None:
                after.pop(key, None)
                continue
            option = _option(options, key, kind)
            option.parse(value)
            # AlterConfigs repeats unchanged settings; those need not be dynamic.
            if kind == BROKER and before.get(key) != value:
                _check_dynamic(option, name)
            after[key] = value
        if kind == TOPIC:
            check_topic_configs(
                {key: value for key, value in after.items() if key in TOPIC_OPTIONS}
            )
    except SettingError as e:
        raise Refused(ErrorCode.INVALID_CONFIG, str(e)) from e
    return [
        ConfigRecord(kind, name, key, changes[key])
        for key in sorted(changes)
        if before.get(key) != changes[key]
    ]


def _options(controller: Controller, kind: int, name: str) -> dict[str, Option]:
    """Return the declared settings of a resource.

    Raises:
        Refused: no such resource.
    """
    if kind == TOPIC:
        if name not in controller.image.topics:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {name}.")
        return TOPIC_OPTIONS
    if kind == BROKER:
        if name and not (
            name.isascii() and name.isdigit() and int(name) in controller.image.brokers
        ):
            known = ", ".join(map(str, sorted(controller.image.brokers)))
            raise Refused(
                ErrorCode.INVALID_REQUEST,
                f"There is no broker {name}: the name must be one of {known}, or empty.",
            )
        return OPTIONS
    raise Refused(
        ErrorCode.INVALID_REQUEST,
        f"Resource type {kind} has no settings; use topic (2) or broker (4).",
    )


def _option(options: dict[str, Option], name: str, kind: int) -> Option:
    """Raises: SettingError when there is no such setting."""
    option = options.get(name)
    if option is None:
        raise SettingError(unknown(name, options, "topic" if kind == TOPIC else "broker"))
    return option


def _check_dynamic(option: Option, broker: str) -> None:
    """Raises: SettingError when the setting may not be changed for ``broker`` ("" for all)."""
    # Secrets are not dynamic, as they are in Kafka: they would lie in clear in the metadata log.
    if option.dynamic is Dynamic.NO:
        raise SettingError(
            f"{option.name} cannot be changed while a broker runs: set it in server.properties"
        )
    if option.dynamic is Dynamic.PER_BROKER and not broker:
        raise SettingError(f"{option.name} can be set for a single broker only, not for all")


def _incremental(
    controller: Controller,
    resource: k44.AlterConfigsResource,
    options: dict[str, Option],
    before: dict[str, str],
) -> Changes:
    """Return the changes that the operations of one resource make.

    Raises:
        Refused
        SettingError
    """
    if len({c.name for c in resource.configs}) != len(resource.configs):
        raise Refused(
            ErrorCode.INVALID_REQUEST, "The request names a setting more than once for a resource."
        )
    changes: Changes = {}
    for requested in resource.configs:
        if requested.config_operation == ConfigOperation.DELETE:
            # An unknown setting that an older version stored can still be removed.
            if requested.name not in before:
                _option(options, requested.name, resource.resource_type)
            changes[requested.name] = None
            continue
        option = _option(options, requested.name, resource.resource_type)
        if requested.value is None:
            raise Refused(
                ErrorCode.INVALID_REQUEST,
                f"{requested.name} has no value; allowed: {option.allowed()}.",
            )
        if requested.config_operation == ConfigOperation.SET:
            changes[requested.name] = requested.value
        elif requested.config_operation not in (ConfigOperation.APPEND, ConfigOperation.SUBTRACT):
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"Unknown operation {requested.config_operation}."
            )
        elif option.type is not Type.LIST:
            raise SettingError(
                f"{requested.name} is not a list: values cannot be appended or subtracted"
            )
        else:
            parts = (
                _parts(before[requested.name])
                if requested.name in before
                else _parts(_effective(controller, option, resource))
            )
            named = _parts(requested.value)
            if requested.config_operation == ConfigOperation.APPEND:
                parts += [part for part in named if part not in parts]
            else:
                parts = [part for part in parts if part not in named]
            changes[requested.name] = ",".join(parts)
    return changes


def _effective(controller: Controller, option: Option, resource: k44.AlterConfigsResource) -> str:
    """The value that a list has without being set: APPEND and SUBTRACT start from
    it."""
    if resource.resource_type == TOPIC:
        value = controller.config.topic(resource.resource_name, option.name)
    else:
        value = controller.config.broker(option.name)
    return option.show(value) or ""


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
