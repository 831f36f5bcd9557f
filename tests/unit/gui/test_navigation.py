from __future__ import annotations

from typing import Any

import pytest

from gui.navigation import (
    BrokerTarget,
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    NewTopicTarget,
    PageTarget,
    ProduceTarget,
    ResetTarget,
    Target,
    TopicTarget,
    page_of,
    target_named,
    title_of,
)
from kafka_client.model import ConfigResource


@pytest.mark.parametrize(
    ("page", "where", "target", "title"),
    [
        ("overview", {}, PageTarget("overview"), ""),
        ("topics", {"topic": "sms"}, TopicTarget("sms"), "sms"),
        ("topics", {"topic": "sms", "tab": "groups"}, TopicTarget("sms", "groups"), "sms"),
        ("topics", {"create": "x", "partitions": "3"}, NewTopicTarget("x", 3), "x"),
        ("groups", {"group": "a"}, GroupTarget("a"), "a"),
        ("groups", {"group": "a", "reset": True}, ResetTarget("a"), "a"),
        ("brokers", {"broker": 2}, BrokerTarget(2), "Broker 2"),
        ("messages", {"topic": "sms", "partition": 1}, MessagesTarget("sms", 1), "sms-1"),
        ("messages", {"topic": "sms", "produce": True}, ProduceTarget("sms"), "sms"),
        (
            "configuration",
            {"kind": "topic", "name": "sms"},
            ConfigurationTarget(ConfigResource("topic", "sms")),
            "topic sms",
        ),
    ],
)
def test_that_a_script_reaches_each_place_by_keywords(
    page: str, where: dict[str, Any], target: Target, title: str
) -> None:
    assert target_named(page, **where) == target
    assert page_of(target) == page and title_of(target) == title


def test_that_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError):
        target_named("topics", topic="sms", colour="red")
    with pytest.raises(TypeError, match="no place colour"):
        target_named("overview", colour="red")
