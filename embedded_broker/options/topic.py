"""Settings of a topic, and which of the broker's settings stand in where the topic says nothing."""

from __future__ import annotations

from embedded_broker.options.option import (
    LONG_MAX,
    Option,
    SettingError,
    Value,
    boolean,
    double,
    int_,
    list_,
    long,
    string,
    table,
)
from embedded_broker.options.storage import COMPRESSIONS


def _throttled(value: Value) -> str:
    assert isinstance(value, tuple)
    for part in value:
        left, colon, right = part.partition(":")
        if part != "*" and not (colon and left.isdigit() and right.isdigit()):
            return "allowed is *, or partition:broker, ..."
    return ""


def _t(option: Option, *synonyms: str) -> Option:
    from dataclasses import replace

    return replace(option, scope="topic", synonyms=synonyms)


TOPIC_OPTIONS: dict[str, Option] = table(
    _t(list_("cleanup.policy", ("delete",), "What becomes of old segments: delete, compact, or both.",
             choices=("delete", "compact")), "log.cleanup.policy"),
    _t(string("compression.type", "producer", "How batches are stored; producer keeps them as they came.",
              choices=COMPRESSIONS, effect=False), "compression.type"),
    _t(int_("compression.gzip.level", -1, "Level of gzip.", least=-1, most=9, effect=False), "compression.gzip.level"),
    _t(int_("compression.lz4.level", 9, "Level of lz4.", least=1, most=17, effect=False), "compression.lz4.level"),
    _t(int_("compression.zstd.level", 3, "Level of zstd.", least=-131072, most=22, effect=False),
       "compression.zstd.level"),
    _t(long("delete.retention.ms", 86400000, "How long tombstones of a compacted topic stay.", unit="ms", least=0,
            effect=False), "log.cleaner.delete.retention.ms"),
    _t(long("file.delete.delay.ms", 60000, "How long the files of a deleted segment stay.", unit="ms", least=0,
            effect=False), "log.segment.delete.delay.ms"),
    _t(long("flush.messages", LONG_MAX, "The log is flushed after so many records; 1 flushes before each "
            "acknowledgement.", least=1), "log.flush.interval.messages"),
    _t(long("flush.ms", LONG_MAX, "The log is flushed after so long.", unit="ms", least=0, effect=False),
       "log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    _t(int_("index.interval.bytes", 4096, "Bytes of the log between two entries of its index.", unit="bytes",
            least=0), "log.index.interval.bytes"),
    _t(int_("max.message.bytes", 1048588, "The largest batch of records that is taken.", unit="bytes", least=0),
       "message.max.bytes"),
    _t(string("message.timestamp.type", "CreateTime", "Whether records keep their producer's time or get the "
              "broker's.", choices=("CreateTime", "LogAppendTime")), "log.message.timestamp.type"),
    _t(long("message.timestamp.before.max.ms", LONG_MAX, "How far a producer's time may lie in the past.", unit="ms",
            least=0), "log.message.timestamp.before.max.ms"),
    _t(long("message.timestamp.after.max.ms", 3600000, "How far a producer's time may lie in the future.", unit="ms",
            least=0), "log.message.timestamp.after.max.ms"),
    _t(double("min.cleanable.dirty.ratio", 0.5, "How much of the log must be uncleaned before it is cleaned.",
              least=0, most=1, effect=False), "log.cleaner.min.cleanable.ratio"),
    _t(long("min.compaction.lag.ms", 0, "The youngest record that is compacted.", unit="ms", least=0, effect=False),
       "log.cleaner.min.compaction.lag.ms"),
    _t(long("max.compaction.lag.ms", LONG_MAX, "The oldest record that is not compacted.", unit="ms", least=1,
            effect=False), "log.cleaner.max.compaction.lag.ms"),
    _t(int_("min.insync.replicas", 1, "In-sync replicas without which acks=all writes are refused.", least=1),
       "min.insync.replicas"),
    _t(boolean("preallocate", False, "Whether the file of a segment is made in full size.", effect=False),
       "log.preallocate"),
    _t(long("retention.bytes", -1, "A partition larger than this loses its oldest segments, -1 keeps all.",
            unit="bytes", least=-1), "log.retention.bytes"),
    _t(long("retention.ms", 604800000, "Segments older than this are deleted, -1 keeps all.", unit="ms", least=-1),
       "log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    _t(int_("segment.bytes", 1073741824, "A segment of this size is closed and a new one begun.", unit="bytes",
            least=14), "log.segment.bytes"),
    _t(int_("segment.index.bytes", 10485760, "The largest index; a full one begins a new segment.", unit="bytes",
            least=4, effect=False), "log.index.size.max.bytes"),
    _t(long("segment.ms", 604800000, "A segment of this age is closed and a new one begun.", unit="ms", least=1),
       "log.roll.ms", "log.roll.hours"),
    _t(long("segment.jitter.ms", 0, "A random part of segment.ms that a roll may come earlier.", unit="ms", least=0,
            effect=False), "log.roll.jitter.ms", "log.roll.jitter.hours"),
    _t(boolean("unclean.leader.election.enable", False, "Whether a replica that is not in sync may lead when no "
               "other is left; records may be lost."), "unclean.leader.election.enable"),
    _t(list_("leader.replication.throttled.replicas", (), "Replicas whose leader is throttled.", check=_throttled,
             effect=False)),
    _t(list_("follower.replication.throttled.replicas", (), "Replicas that are throttled as followers.",
             check=_throttled, effect=False)),
    _t(boolean("message.downconversion.enable", True, "Of clients that are no longer served.", effect=False),
       "log.message.downconversion.enable"),
    _t(boolean("remote.storage.enable", False, "Whether old segments go to a remote store; never here.",
               choices=(), effect=False)),
    _t(long("local.retention.ms", -2, "Retention of what lies in a remote store too.", unit="ms", least=-2,
            effect=False), "log.local.retention.ms"),
    _t(long("local.retention.bytes", -2, "Retention of what lies in a remote store too.", unit="bytes", least=-2,
            effect=False), "log.local.retention.bytes"),
    _t(boolean("remote.log.copy.disable", False, "Of remote stores.", effect=False)),
    _t(boolean("remote.log.delete.on.disable", False, "Of remote stores.", effect=False)),
)  # fmt: skip


def check_topic_configs(configs: dict[str, str | None]) -> dict[str, Value]:
    """The typed values of a new topic's settings.

    Raises:
        SettingError: an unknown name, a value that is not allowed, values that contradict each
        other.
    """
    from embedded_broker.options.names import unknown

    found: dict[str, Value] = {}
    for name in sorted(configs):
        option = TOPIC_OPTIONS.get(name)
        if option is None:
            raise SettingError(unknown(name, TOPIC_OPTIONS, "topic"))
        text = configs[name]
        if text is None:
            raise SettingError(f"{name} has no value: allowed is {option.allowed()}")
        found[name] = option.parse(text)
    if found.get("remote.storage.enable") is True:
        raise SettingError(
            "remote.storage.enable=true: this cluster has no remote store, allowed is false"
        )
    low, high = found.get("min.compaction.lag.ms", 0), found.get("max.compaction.lag.ms", LONG_MAX)
    assert isinstance(low, int) and isinstance(high, int)
    if low > high:
        raise SettingError(f"min.compaction.lag.ms={low} is above max.compaction.lag.ms={high}")
    return found
