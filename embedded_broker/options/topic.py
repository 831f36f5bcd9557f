"""Settings of a topic. A topic without its own value takes that of the broker settings in
``synonyms``, the first that is set; read node.py first."""

from __future__ import annotations

from dataclasses import replace

from embedded_broker.options.names import unknown
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
    """Check a list of throttled replicas; returns what is allowed when it is invalid."""
    assert isinstance(value, tuple)
    for part in value:
        left, colon, right = part.partition(":")
        if part != "*" and not (colon and left.isdigit() and right.isdigit()):
            return "allowed is *, or partition:broker, ..."
    return ""


_OPTIONS = (
    list_("cleanup.policy", ("delete",), choices=("delete", "compact"),
          synonyms=("log.cleanup.policy",),
          text="Policy for old segments: delete, compact, or both."),
    string("compression.type", "producer", choices=COMPRESSIONS, effect=False,
           synonyms=("compression.type",),
           text="Compression of stored batches; producer keeps that of the producer."),
    int_("compression.gzip.level", -1, least=-1, most=9, effect=False,
         synonyms=("compression.gzip.level",),
         text="Level of gzip compression."),
    int_("compression.lz4.level", 9, least=1, most=17, effect=False,
         synonyms=("compression.lz4.level",),
         text="Level of lz4 compression."),
    int_("compression.zstd.level", 3, least=-131_072, most=22, effect=False,
         synonyms=("compression.zstd.level",),
         text="Level of zstd compression."),
    long("delete.retention.ms", 86_400_000, unit="ms", least=0, effect=False,
         synonyms=("log.cleaner.delete.retention.ms",),
         text="Time for which tombstones of a compacted topic are kept."),
    long("file.delete.delay.ms", 60_000, unit="ms", least=0, effect=False,
         synonyms=("log.segment.delete.delay.ms",),
         text="Delay before the files of a deleted segment are removed."),
    long("flush.messages", LONG_MAX, least=1, synonyms=("log.flush.interval.messages",),
         text="Records after which a log is flushed; 1 flushes before each acknowledgement."),
    long("flush.ms", LONG_MAX, unit="ms", least=0, effect=False,
         synonyms=("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
         text="Time after which a log is flushed."),
    int_("index.interval.bytes", 4096, unit="bytes", least=0,
         synonyms=("log.index.interval.bytes",),
         text="Bytes of a log between two entries of its offset index."),
    int_("max.message.bytes", 1_048_588, unit="bytes", least=0, synonyms=("message.max.bytes",),
         text="Maximum size of a record batch."),
    string("message.timestamp.type", "CreateTime", choices=("CreateTime", "LogAppendTime"),
           synonyms=("log.message.timestamp.type",),
           text="Timestamps of records: CreateTime of the producer, or LogAppendTime of the "
                "broker."),
    long("message.timestamp.before.max.ms", LONG_MAX, unit="ms", least=0,
         synonyms=("log.message.timestamp.before.max.ms",),
         text="Maximum time by which a record's timestamp may be behind the broker's clock."),
    long("message.timestamp.after.max.ms", 3_600_000, unit="ms", least=0,
         synonyms=("log.message.timestamp.after.max.ms",),
         text="Maximum time by which a record's timestamp may be ahead of the broker's clock."),
    double("min.cleanable.dirty.ratio", 0.5, least=0, most=1, effect=False,
           synonyms=("log.cleaner.min.cleanable.ratio",),
           text="Share of uncleaned bytes of a log from which it is cleaned."),
    long("min.compaction.lag.ms", 0, unit="ms", least=0, effect=False,
         synonyms=("log.cleaner.min.compaction.lag.ms",),
         text="Minimum age of a record that is compacted."),
    long("max.compaction.lag.ms", LONG_MAX, unit="ms", least=1, effect=False,
         synonyms=("log.cleaner.max.compaction.lag.ms",),
         text="Maximum age of a record that is not compacted."),
    int_("min.insync.replicas", 1, least=1, synonyms=("min.insync.replicas",),
         text="In-sync replicas that a write with acks=all requires."),
    boolean("preallocate", False, effect=False, synonyms=("log.preallocate",),
            text="Whether the file of a new segment is allocated in full."),
    long("retention.bytes", -1, unit="bytes", least=-1, synonyms=("log.retention.bytes",),
         text="Size of a partition above which its oldest segments are deleted; -1 is no limit."),
    long("retention.ms", 604_800_000, unit="ms", least=-1,
         synonyms=("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
         text="Age at which segments are deleted; -1 is never."),
    int_("segment.bytes", 1_073_741_824, unit="bytes", least=14, synonyms=("log.segment.bytes",),
         text="Size at which a segment is rolled."),
    int_("segment.index.bytes", 10_485_760, unit="bytes", least=4, effect=False,
         synonyms=("log.index.size.max.bytes",),
         text="Maximum size of an index; a full one rolls the segment."),
    long("segment.ms", 604_800_000, unit="ms", least=1,
         synonyms=("log.roll.ms", "log.roll.hours"),
         text="Age at which a segment is rolled."),
    long("segment.jitter.ms", 0, unit="ms", least=0, effect=False,
         synonyms=("log.roll.jitter.ms", "log.roll.jitter.hours"),
         text="Random time by which a segment may roll earlier."),
    boolean("unclean.leader.election.enable", False,
            synonyms=("unclean.leader.election.enable",),
            text="Whether an out-of-sync replica may become leader when no other is left, "
                 "which may lose records."),
    list_("leader.replication.throttled.replicas", (), check=_throttled, effect=False,
          text="Replicas that are throttled on the leader's side: * or partition:broker, "
               "separated by commas."),
    list_("follower.replication.throttled.replicas", (), check=_throttled, effect=False,
          text="Replicas that are throttled on the follower's side: * or partition:broker, "
               "separated by commas."),
    boolean("message.downconversion.enable", True, effect=False,
            synonyms=("log.message.downconversion.enable",),
            text="Whether batches are converted for old clients; here never."),
    boolean("remote.storage.enable", False, effect=False,
            text="Whether old segments move to remote storage; here never."),
    long("local.retention.ms", -2, unit="ms", least=-2, effect=False,
         synonyms=("log.local.retention.ms",),
         text="Age at which segments in remote storage are deleted locally."),
    long("local.retention.bytes", -2, unit="bytes", least=-2, effect=False,
         synonyms=("log.local.retention.bytes",),
         text="Local size above which segments in remote storage are deleted locally."),
    boolean("remote.log.copy.disable", False, effect=False,
            text="Whether no further segments are copied to remote storage."),
    boolean("remote.log.delete.on.disable", False, effect=False,
            text="Whether disabling remote storage deletes what is in it."),
)  # fmt: skip

TOPIC_OPTIONS: dict[str, Option] = table(*(replace(o, scope="topic") for o in _OPTIONS))
"""Every setting of a topic, by name."""


def check_topic_configs(configs: dict[str, str | None]) -> dict[str, Value]:
    """Return the typed values of a new topic's settings.

    Raises:
        SettingError: an unknown name, an invalid value, or values that contradict each other.
    """
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
            "remote.storage.enable=true: this cluster has no remote storage, allowed is false"
        )
    low, high = found.get("min.compaction.lag.ms", 0), found.get("max.compaction.lag.ms", LONG_MAX)
    assert isinstance(low, int) and isinstance(high, int)
    if low > high:
        raise SettingError(f"min.compaction.lag.ms={low} is above max.compaction.lag.ms={high}")
    return found
