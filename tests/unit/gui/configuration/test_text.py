"""Settings in readable units and as plain text, and their rows."""

from __future__ import annotations

import pytest

from gui.configuration.page import changed_meanwhile
from gui.configuration.rows import ALL_BROKERS, heading, resource_rows, setting_rows
from gui.configuration.text import plain_description, readable, with_unit
from kafka_client.model import (
    Broker,
    ClusterSnapshot,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    Topic,
)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("retention.ms", "604800000", "7 d"),
        ("retention.ms", "-1", "no limit"),
        ("segment.bytes", "1073741824", "1.0 GiB"),
        ("local.retention.ms", "-2", "as retention.ms"),
        ("local.retention.bytes", "-1", "no limit"),
        ("log.flush.interval.ms", "9223372036854775807", ""),
        ("num.partitions", "3", ""),
        ("cleanup.policy", "delete", ""),
        ("retention.ms", None, ""),
    ],
)
def test_that_values_are_readable_where_the_name_tells_the_unit(
    name: str, value: str | None, text: str
) -> None:
    assert readable(name, value) == text


def test_that_a_unit_stands_behind_the_value() -> None:
    assert with_unit("retention.ms", "3600000") == "3600000 (1 h)"
    assert with_unit("cleanup.policy", "compact") == "compact"
    assert with_unit("cleanup.policy", "") == "empty"


def test_that_descriptions_lose_their_tags_and_keep_their_text() -> None:
    entry = ConfigEntry(
        "x",
        "",
        ConfigSource.DEFAULT,
        text="Use <code>gzip</code> &amp; co.<p>See <a href='#'>this</a>:<ul><li>one</li>"
        "<li>two</li></ul> where 3 < 4 and a<b",
    )
    text = plain_description(entry)
    assert "<code>" not in text and "Use gzip & co." in text and "See this:" in text
    assert "- one" in text and "- two" in text and "3 < 4 and a<b" in text


def entry(name: str, value: str | None, **more: object) -> ConfigEntry:
    return ConfigEntry(name, value, ConfigSource.DEFAULT, **more)  # type: ignore[arg-type]


def test_that_an_edit_is_shown_in_place_of_the_value() -> None:
    plain, edited, reset = setting_rows(
        [entry("a", "1"), entry("b.ms", "1000"), entry("c", "3")], {"b.ms": "60000", "c": None}
    )
    assert (plain.shown, plain.differs) == ("1", False)
    assert (edited.shown, edited.unit, edited.differs) == ("→ 60000", "1 min", True)
    assert reset.shown == "→ the default"


def test_that_a_sensitive_value_is_never_shown() -> None:
    (row,) = setting_rows([entry("ssl.key.ms", "5", sensitive=True, read_only=True)], {})
    assert row.shown == "hidden" and row.unit == "" and row.notes == "restart needed, sensitive"


def test_that_all_brokers_come_first_and_internal_topics_are_left_out() -> None:
    snapshot = ClusterSnapshot(
        brokers={10: Broker(10, "h", 1), 9: Broker(9, "h", 1)},
        topics={"b": Topic("b"), "a": Topic("a"), "__x": Topic("__x")},
    )
    rows = sorted(resource_rows(snapshot), key=lambda r: r.order)
    assert [r.title for r in rows] == ["All brokers", "Broker 9", "Broker 10", "a", "b"]
    assert heading(ALL_BROKERS) == "All brokers"
    assert heading(ConfigResource("topic", "email")) == "Topic email"


def test_that_values_changed_by_somebody_else_are_named() -> None:
    topic = ConfigResource("topic", "email")
    before: dict[ConfigResource, tuple[ConfigEntry, ...]] = {
        topic: (entry("retention.ms", "1"), entry("segment.ms", "2"))
    }
    now: dict[ConfigResource, tuple[ConfigEntry, ...]] = {
        topic: (entry("retention.ms", "7"), entry("segment.ms", "2"))
    }
    edits: dict[tuple[ConfigResource, str], str | None] = {
        (topic, "retention.ms"): "9",
        (topic, "segment.ms"): "9",
    }
    assert changed_meanwhile(before, now, edits) == ["retention.ms of topic email"]
