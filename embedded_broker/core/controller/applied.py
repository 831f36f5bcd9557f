"""Tell whether this broker's own image already shows the changes that a controller
response reports.

A client that created a topic asks the same broker for it next; without this check the
broker would often answer that the topic does not exist.
"""

from __future__ import annotations

from typing import Any

from embedded_broker.core.metadata.image import MetadataImage
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import ConfigOperation
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID


def is_applied(image: MetadataImage, request: Any, response: Any) -> bool:
    """Return whether ``image`` shows every successful change of ``response``; True for
    requests whose effects clients do not look up."""
    match request.API_KEY:
        case ApiKey.CREATE_TOPICS:
            ids = [
                t.topic_id
                for t in response.topics
                if t.error_code == ErrorCode.NONE and t.topic_id != ZERO_UUID
            ]
            return all(topic_id in image.topic_names for topic_id in ids)
        case ApiKey.DELETE_TOPICS:
            return all(
                t.error_code != ErrorCode.NONE or t.topic_id not in image.topic_names
                for t in response.responses
            )
        case ApiKey.CREATE_PARTITIONS:
            failed = {r.name for r in response.results if r.error_code != ErrorCode.NONE}
            return request.validate_only or all(
                t.name in failed or len(image.topics[t.name].partitions) >= t.count
                for t in request.topics
                if t.name in image.topics
            )
        case ApiKey.INCREMENTAL_ALTER_CONFIGS:
            failed_resources = {
                (r.resource_type, r.resource_name)
                for r in response.responses
                if r.error_code != ErrorCode.NONE
            }
            return request.validate_only or all(
                _shows(image, (r.resource_type, r.resource_name), c)
                for r in request.resources
                if (r.resource_type, r.resource_name) not in failed_resources
                for c in r.configs
            )
    return True


def _shows(image: MetadataImage, key: tuple[int, str], config: Any) -> bool:
    """Return whether a changed setting is visible; APPEND and SUBTRACT are not
    checked."""
    value = image.configs.get(key, {}).get(config.name)
    if config.config_operation == ConfigOperation.SET:
        return bool(value == config.value)
    return config.config_operation != ConfigOperation.DELETE or value is None
