from __future__ import annotations

import pytest

from gui.command_line import looks_like_one, read
from gui.navigation import (
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    NewTopicTarget,
    PageTarget,
    ProduceTarget,
    ResetTarget,
    Target,
    TopicTarget,
)
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.model import ConfigResource


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("bin/kafka-topics.sh --bootstrap-server a:9092 --list", PageTarget("topics")),
        ("kafka-topics --describe --topic email", TopicTarget("email")),
        (
            "/opt/kafka/bin/kafka-topics.sh --create --topic x"
            " --partitions 3 --replication-factor 2",
            NewTopicTarget("x", 3, 2),
        ),
        ("kafka-topics.sh --create --topic x --partitions many", NewTopicTarget("x")),
        ("kafka-consumer-groups.sh --describe --group 'a b'", GroupTarget("a b")),
        (
            "kafka-consumer-groups.sh --group sms --topic sms:0,1 --reset-offsets --to-earliest",
            ResetTarget("sms", "sms", ResetSpec(ResetTo.EARLIEST)),
        ),
        (
            "kafka-consumer-groups.sh --group sms --all-topics --reset-offsets --shift-by -5",
            ResetTarget("sms", "", ResetSpec(ResetTo.SHIFT, -5)),
        ),
        (
            "kafka-consumer-groups.sh --group sms --reset-offsets --to-current",
            ResetTarget("sms"),
        ),
        (
            "kafka-configs.sh --entity-type topics --entity-name email --describe",
            ConfigurationTarget(ConfigResource("topic", "email")),
        ),
        (
            "kafka-configs.sh --broker 2 --describe",
            ConfigurationTarget(ConfigResource("broker", "2")),
        ),
        (
            "kafka-console-consumer.sh --topic=email --partition 1 --offset 5",
            MessagesTarget("email", 1, 5),
        ),
        ("kafka-console-consumer.sh --topic email --offset latest", MessagesTarget("email")),
        ("kafka-console-producer.sh --topic email", ProduceTarget("email")),
    ],
)
def test_that_a_pasted_line_leads_to_the_place_that_does_the_same(
    line: str, target: Target
) -> None:
    assert looks_like_one(line)
    equivalent = read(line)
    assert equivalent is not None and equivalent.target == target


@pytest.mark.parametrize(
    "line", ["email", "kafka", "kafka-topics.sh 'unclosed", "rm -rf /", "kafka-unknown-tool.sh --x"]
)
def test_that_anything_else_has_no_equivalent(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("kafka-topics.sh --describe --topic email", "the same as this command"),
        (
            "kafka-topics.sh --bootstrap-server a:9092 --create --topic x",
            "on this cluster",
        ),
        (
            "kafka-topics.sh --bootstrap-server a:1 --create --topic x --config retention.ms=1",
            "on this cluster, without --config",
        ),
        ("kafka-topics.sh --topic x --delete", "without --delete"),
        ("kafka-topics.sh --topic x --alter --partitions 6", "without --partitions"),
        (
            "kafka-configs.sh --entity-type topics --entity-name x --alter --add-config a=b",
            "without --add-config",
        ),
        (
            "kafka-console-consumer.sh --topic x --group g --property a --formatter f",
            "without --group, --property and 1 more",
        ),
        (
            "kafka-consumer-groups.sh --group g --all-topics --reset-offsets --to-latest --execute",
            "the same as this command",
        ),
    ],
)
def test_that_what_the_window_leaves_out_of_a_pasted_line_is_said(line: str, note: str) -> None:
    equivalent = read(line)
    assert equivalent is not None and equivalent.note == note


@pytest.mark.parametrize(
    "line",
    [
        "kafka-topics.sh \\  --create \\ --topic x --partitions 3",
        "kafka-topics.sh \\\n  --create \\\n  --topic x \\\n --partitions 3",
        "kafka-topics.sh \u2014create \u2013topic x --partitions 3",
    ],
)
def test_that_a_line_that_was_broken_or_typeset_is_read(line: str) -> None:
    equivalent = read(line)
    assert equivalent is not None and equivalent.target == NewTopicTarget("x", 3)
