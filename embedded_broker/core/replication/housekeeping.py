"""What timers do for the logs: retention by time and size, fallen-behind followers, high
watermarks on disk.

Retention drops whole segments from the old end, never beyond the high watermark, on every replica
by its own clock (as Kafka's does); what a leader has dropped its followers drop too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.log.validate import AppendLimits
from embedded_broker.core.ports import StorageFailed

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.replication.partition import Partition


def start(broker: Broker, now_ms: int) -> None:
    """Begin the timers."""
    _every(
        broker,
        now_ms,
        "high watermarks",
        "replica.high.watermark.checkpoint.interval.ms",
        1,
        _checkpoint,
    )
    _every(broker, now_ms, "followers", "replica.lag.time.max.ms", 2, _check_followers)
    _every(broker, now_ms, "retention", "log.retention.check.interval.ms", 1, retain)


def _every(broker: Broker, now_ms: int, key: str, setting: str, divisor: int, do: _Do) -> None:
    def fire(then_ms: int) -> None:
        _every(broker, then_ms, key, setting, divisor, do)
        do(broker, then_ms)

    broker.outbox.timer(key, now_ms + max(1, broker.config.broker(setting) // divisor), fire)


def _checkpoint(broker: Broker, now_ms: int) -> None:
    broker.replicas.checkpoint()


def _check_followers(broker: Broker, now_ms: int) -> None:
    for partition in broker.replicas.partitions.values():
        partition.check_followers(now_ms)


def retain(broker: Broker, now_ms: int) -> None:
    """Delete what is too old or too much, and forget idle producers."""
    wall_ms = broker.clock.wall_ms()
    expired_ms = wall_ms - broker.config.broker("producer.id.expiration.ms")
    for partition in list(broker.replicas.partitions.values()):
        partition.producers.expire(expired_ms)
        try:
            _retain(broker, partition, wall_ms)
        except StorageFailed as e:
            broker.outbox.note(
                Level.ERROR, f"old segments of {partition} could not be deleted: {e}"
            )


def _retain(broker: Broker, partition: Partition, wall_ms: int) -> None:
    topic, config = partition.topic, broker.config
    if "delete" not in config.topic(topic, "cleanup.policy"):
        return
    retention_ms, retention_bytes = (
        config.topic(topic, "retention.ms"),
        config.topic(topic, "retention.bytes"),
    )
    log = partition.log
    segments = log.segments()
    if not segments:
        return
    active = segments[-1]
    if retention_ms >= 0 and active.size_bytes and wall_ms - _age_mark(active) > retention_ms:
        log.roll()
        segments = log.segments()
    excess = log.size_bytes - retention_bytes if retention_bytes >= 0 else -1
    keep_from = -1
    for segment, following in pairwise(segments):
        too_old = retention_ms >= 0 and wall_ms - _age_mark(segment) > retention_ms
        too_much = excess >= segment.size_bytes
        if not (too_old or too_much) or following.base_offset > partition.high_watermark:
            break
        excess -= segment.size_bytes
        keep_from = following.base_offset
    if keep_from > partition.start_offset:
        partition.delete_before(keep_from)
        broker.outbox.note(
            Level.INFO, f"{partition} now starts at {keep_from}: older segments were deleted"
        )


def _age_mark(segment: _Segment) -> int:
    return segment.max_timestamp if segment.max_timestamp >= 0 else segment.last_modified_ms


def configure(broker: Broker, partition: Partition) -> None:
    """Take over a topic's settings, as they are now."""
    topic, config = partition.topic, broker.config
    segment_bytes = config.topic(topic, "segment.bytes")
    partition.limits = AppendLimits(
        max_message_bytes=config.topic(topic, "max.message.bytes"),
        segment_bytes=segment_bytes,
        append_time=config.topic(topic, "message.timestamp.type") == "LogAppendTime",
        before_max_ms=config.topic(topic, "message.timestamp.before.max.ms"),
        after_max_ms=config.topic(topic, "message.timestamp.after.max.ms"),
        compacted="compact" in config.topic(topic, "cleanup.policy"),
    )
    partition.min_isr = config.topic(topic, "min.insync.replicas")
    partition.durable = config.durable(topic)
    partition.flush_if_needed()
    partition.log.configure(
        segment_bytes,
        config.topic(topic, "segment.ms"),
        config.topic(topic, "index.interval.bytes"),
    )


if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded_broker.core.ports import SegmentInfo as _Segment

    _Do = Callable[["Broker", int], None]
