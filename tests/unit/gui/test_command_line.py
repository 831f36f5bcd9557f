from __future__ import annotations

import pytest

from gui.command_line import looks_like_one, read


@pytest.mark.parametrize(
    ("line", "page", "where"),
    [
        ("bin/kafka-topics.sh --bootstrap-server a:9092 --list", "topics", {}),
        (
            "kafka-topics --bootstrap-server a:9092 --describe --topic email",
            "topics",
            {"topic": "email"},
        ),
        (
            "/opt/kafka/bin/kafka-topics.sh --create --topic x --partitions 3 --replication-factor 2",
            "topics",
            {"create": "x", "partitions": "3", "replication": "2"},
        ),
        ("kafka-consumer-groups.sh --describe --group 'a b'", "groups", {"group": "a b"}),
        (
            "kafka-consumer-groups.sh --group sms --topic sms --reset-offsets --to-earliest --execute",
            "groups",
            {"group": "sms", "topic": "sms", "reset": True},
        ),
        (
            "kafka-configs.sh --entity-type topics --entity-name email --describe",
            "configuration",
            {"kind": "topic", "name": "email"},
        ),
        (
            "kafka-console-consumer.sh --topic=email --partition 1 --offset 5",
            "messages",
            {"topic": "email", "partition": 1, "offset": 5},
        ),
        (
            "kafka-console-producer.sh --topic email",
            "messages",
            {"topic": "email", "produce": True},
        ),
    ],
)
def test_that_a_pasted_line_opens_the_page_that_does_the_same(
    line: str, page: str, where: dict[str, object]
) -> None:
    assert looks_like_one(line)
    meant = read(line)
    assert meant is not None and (meant.page, meant.where) == (page, where)


@pytest.mark.parametrize(
    "line", ["email", "kafka", "kafka-topics.sh 'unclosed", "rm -rf /", "kafka-unknown-tool.sh --x"]
)
def test_that_anything_else_means_nothing(line: str) -> None:
    assert read(line) is None
