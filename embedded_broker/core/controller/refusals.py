"""Refusals: a whole request with one error code, in the shape of its response (at the
top, or for each of its parts); or one part of it."""

from __future__ import annotations

from typing import Any

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import response_class
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message

TEXT_MOST = 1_000
"""Characters of a text that is sent."""


def shortened(text: str) -> str:
    """Cut a text that quotes a request: a client chooses its length, and a message that is too long
    to encode would close the connection between two brokers."""
    return text if len(text) <= TEXT_MOST else f"{text[:TEXT_MOST]}..."


class Refused(Exception):
    """One topic or resource of a request is refused with this error code."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = shortened(text)


def refusal(message: Any, code: ErrorCode, text: str) -> Any:
    """Return the response to ``message`` that refuses all of it with ``code``. Rare, so
    each branch imports its message when it is needed."""
    text = shortened(text)
    match message.API_KEY:
        case ApiKey.CREATE_TOPICS:
            from kafka_protocol.messages import k19_create_topics as k19

            return k19.CreateTopicsResponse(
                topics=[
                    k19.CreatableTopicResult(t.name, error_code=code, error_message=text)
                    for t in message.topics
                ]
            )
        case ApiKey.DELETE_TOPICS:
            from kafka_protocol.messages import k20_delete_topics as k20

            named = [*message.topics, *(k20.DeleteTopicState(name) for name in message.topic_names)]
            return k20.DeleteTopicsResponse(
                responses=[k20.DeletableTopicResult(t.name, t.topic_id, code, text) for t in named]
            )
        case ApiKey.CREATE_PARTITIONS:
            from kafka_protocol.messages import k37_create_partitions as k37

            return k37.CreatePartitionsResponse(
                results=[
                    k37.CreatePartitionsTopicResult(t.name, code, text) for t in message.topics
                ]
            )
        case ApiKey.ALTER_CONFIGS:
            from kafka_protocol.messages import k33_alter_configs as k33

            return k33.AlterConfigsResponse(
                responses=[
                    k33.AlterConfigsResourceResponse(code, text, r.resource_type, r.resource_name)
                    for r in message.resources
                ]
            )
        case ApiKey.INCREMENTAL_ALTER_CONFIGS:
            from kafka_protocol.messages import k44_incremental_alter_configs as k44

            return k44.IncrementalAlterConfigsResponse(
                responses=[
                    k44.AlterConfigsResourceResponse(code, text, r.resource_type, r.resource_name)
                    for r in message.resources
                ]
            )
        case _:
            response = response_class(message.API_KEY)()
            response.error_code = code
            return response


def is_not_controller(response: Message) -> bool:
    """Return whether a response comes from a broker that is not the active
    controller."""
    if getattr(response, "error_code", 0) == ErrorCode.NOT_CONTROLLER:
        return True
    for name in ("topics", "responses", "results"):
        parts = getattr(response, name, None)
        if parts:
            return getattr(parts[0], "error_code", 0) == ErrorCode.NOT_CONTROLLER
    return False
