"""Precedence of the values of a setting."""

from __future__ import annotations

from embedded_broker.core.config import Config
from embedded_broker.core.metadata.image import BROKER, TOPIC, MetadataImage
from embedded_broker.options import OPTIONS, Settings
from kafka_protocol.constants import ConfigSource


def make(text: str = "") -> tuple[Config, MetadataImage]:
    image = MetadataImage()
    return Config(Settings.parse("node.id=1\n" + text), image), image


def test_that_hours_apply_without_milliseconds() -> None:
    config, _ = make("log.retention.hours=3\nlog.roll.hours=1")
    assert config.broker("log.retention.ms") == 10_800_000
    assert (
        config.topic("t", "retention.ms") == 10_800_000
        and config.topic("t", "segment.ms") == 3_600_000
    )


def test_that_minutes_precede_hours_and_no_limit_stays_no_limit() -> None:
    assert (
        make("log.retention.hours=3\nlog.retention.minutes=2")[0].broker("log.retention.ms")
        == 120_000
    )
    assert make("log.retention.hours=-1")[0].topic("t", "retention.ms") == -1


def test_that_the_most_specific_value_wins_and_a_change_applies_at_once() -> None:
    config, image = make("log.retention.ms=4")
    assert config.topic("t", "retention.ms") == 4
    image.configs[BROKER, ""] = {"log.retention.ms": "3"}
    image.version += 1
    assert config.topic("t", "retention.ms") == 3
    image.configs[BROKER, "1"] = {"log.retention.ms": "2"}
    image.configs[BROKER, "2"] = {"log.retention.ms": "9"}
    image.version += 1
    assert config.topic("t", "retention.ms") == 2
    image.configs[TOPIC, "t"] = {"retention.ms": "1"}
    image.version += 1
    assert config.topic("t", "retention.ms") == 1 and config.topic("u", "retention.ms") == 2


def test_that_every_setting_has_an_effective_value() -> None:
    config, _ = make()
    assert all(config.broker(name) is not NotImplemented for name in OPTIONS)
    assert config.broker("num.partitions") == 1 and config.topic("t", "min.insync.replicas") == 1
    assert config.durable("t") is False and make("log.durable=true")[0].durable("t")


def test_that_a_description_has_sources_and_synonyms_but_no_secret() -> None:
    config, image = make("log.retention.hours=3\ncluster.secret=S")
    image.configs[TOPIC, "t"] = {"retention.ms": "1"}
    entry = next(e for e in config.describe_topic("t") if e.option.name == "retention.ms")
    assert (entry.value, entry.source) == ("1", ConfigSource.TOPIC)
    assert entry.synonyms == [
        ("retention.ms", "1", ConfigSource.TOPIC),
        ("log.retention.hours", "3", ConfigSource.FILE),
        ("log.retention.hours", "168", ConfigSource.DEFAULT),
    ]
    entries = {e.option.name: e for e in config.describe_broker()}
    assert entries["cluster.secret"].value is None
    assert all(value != "S" for _, value, _ in entries["cluster.secret"].synonyms)
    assert (
        entries["log.retention.ms"].source is ConfigSource.FILE
        and not entries["log.retention.ms"].read_only
    )
    assert entries["num.partitions"].read_only
    assert config.describe_cluster_defaults() == []
