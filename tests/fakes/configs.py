"""A handful of settings for the fake cluster: enough of every kind for a configuration page to
show."""

from __future__ import annotations

from collections.abc import Mapping

from kafka_client.model import ConfigEntry, ConfigSource

_TOPIC: tuple[tuple[str, str, str, str], ...] = (
    ("cleanup.policy", "delete", "list", "Delete old segments, compact by key, or both."),
    (
        "compression.type",
        "producer",
        "string",
        "The codec of stored batches; producer keeps what came.",
    ),
    ("max.message.bytes", "1048588", "int", "The largest batch that is accepted, in bytes."),
    ("message.timestamp.type", "CreateTime", "string", "Whose clock stamps the records."),
    (
        "min.insync.replicas",
        "1",
        "int",
        "With acks=all: how many replicas must be in sync for a write.",
    ),
    ("retention.bytes", "-1", "long", "The largest size of a partition; -1 is no limit."),
    ("retention.ms", "604800000", "long", "How long records are kept; -1 is for ever."),
    ("segment.bytes", "1073741824", "int", "The size at which a new segment begins."),
    (
        "unclean.leader.election.enable",
        "false",
        "boolean",
        "Whether a replica out of sync may lead.",
    ),
)

_BROKER: tuple[tuple[str, str, str, bool, bool, str], ...] = (
    (
        "auto.create.topics.enable",
        "true",
        "boolean",
        True,
        False,
        "Whether asking for an unknown topic creates it.",
    ),
    ("default.replication.factor", "3", "int", True, False, "Of topics created without one."),
    ("log.dirs", "/var/lib/kafka", "string", True, False, "Where the logs are."),
    ("log.retention.ms", "604800000", "long", False, False, "How long records are kept."),
    ("message.max.bytes", "1048588", "int", False, False, "The largest batch that is accepted."),
    (
        "min.insync.replicas",
        "1",
        "int",
        False,
        False,
        "With acks=all: how many replicas must be in sync.",
    ),
    ("num.io.threads", "8", "int", False, False, "Threads that handle requests."),
    ("num.partitions", "1", "int", True, False, "Of topics created without a number."),
    ("ssl.keystore.password", "", "password", False, True, "Opens the key store."),
    (
        "unclean.leader.election.enable",
        "false",
        "boolean",
        False,
        False,
        "Whether a replica out of sync may lead.",
    ),
)


def topic_entries(own: Mapping[str, str]) -> tuple[ConfigEntry, ...]:
    return tuple(
        ConfigEntry(
            name,
            own.get(name, default),
            ConfigSource.TOPIC if name in own else ConfigSource.DEFAULT,
            kind=kind,
            text=text,
            default=default,
        )
        for name, default, kind, text in _TOPIC
    )


def broker_entries(broker: str, kept: Mapping[str, Mapping[str, str]]) -> tuple[ConfigEntry, ...]:
    own, everyone = kept.get(broker, {}), kept.get("", {})
    entries = []
    for name, default, kind, read_only, sensitive, text in _BROKER:
        value: str | None = default
        source = ConfigSource.FILE if name == "log.dirs" else ConfigSource.DEFAULT
        if broker and name in own:
            value, source = own[name], ConfigSource.BROKER
        elif name in everyone:
            value, source = everyone[name], ConfigSource.CLUSTER
        entries.append(
            ConfigEntry(
                name,
                None if sensitive else value,
                source,
                read_only,
                sensitive,
                kind,
                text,
                default,
            )
        )
    return tuple(entries)
