"""Periodic work on the logs: retention by time and size, followers that fell behind,
high watermarks on disk.

Retention deletes whole segments from the old end, never beyond the high watermark, on
every replica by its own clock (as in Kafka); what a leader has deleted its followers
delete too.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.log.validate import AppendLimits
from embedded_broker.core.ports import SegmentInfo, StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.table import ReplicaTable
from embedded_broker.core.retention_clock import RetentionClock


class Housekeeping:
    """The timers of a node's logs."""

    def __init__(
        self,
        env: Environment,
        table: ReplicaTable,
        checkpoint: Callable[[], None],
        disk_health: DiskHealth,
        mend: Callable[[int], None],
    ) -> None:
        """``checkpoint`` saves the high watermarks; ``mend`` deals with damaged copies."""
        self._mend = mend
        self._disk_health = disk_health
        self._env = env
        self._table = table
        self._checkpoint = checkpoint
        self._clock = RetentionClock(env)

    def start(self, now_ms: int) -> None:
        """Set the timers."""
        self._clock.wall_ms(now_ms)
        self._every(
            now_ms,
            "high watermarks",
            "replica.high.watermark.checkpoint.interval.ms",
            1,
            lambda _now_ms: self._checkpoint(),
        )
        # Twice per lag time, so that a late follower leaves after at most one and a
        # half of it.
        self._every(now_ms, "followers", "replica.lag.time.max.ms", 2, self._check_followers)
        self._every(now_ms, "retention", "log.retention.check.interval.ms", 1, self.retain)

    def _every(
        self, now_ms: int, key: str, setting: str, divisor: int, work: Callable[[int], None]
    ) -> None:
        """Do ``work`` at the interval of ``setting``, which may change at run time,
        divided."""

        def fire(then_ms: int) -> None:
            self._every(then_ms, key, setting, divisor, work)
            work(then_ms)

        interval_ms = max(1, self._env.config.broker(setting) // divisor)
        self._env.outbox.timer(key, now_ms + interval_ms, fire)

    def _check_followers(self, now_ms: int) -> None:
        for partition in self._table.partitions.values():
            partition.check_followers(now_ms)
        self._mend(now_ms)

    def retain(self, now_ms: int) -> None:
        """Delete segments beyond the retention limits, and forget idle producers."""
        wall_ms = self._clock.wall_ms(now_ms)
        expired_ms = wall_ms - self._env.config.broker("producer.id.expiration.ms")
        for partition in list(self._table.partitions.values()):
            partition.producers.expire(expired_ms)
            try:
                self._retain(partition, wall_ms)
            except StorageFailed as e:
                self._disk_health.write_failed(
                    now_ms, f"cannot delete old segments of {partition}", e
                )

    def _retain(self, partition: Partition, wall_ms: int) -> None:
        topic, config = partition.topic, self._env.config
        if "delete" not in config.topic(topic, "cleanup.policy"):
            return
        retention_ms = config.topic(topic, "retention.ms")
        retention_bytes = config.topic(topic, "retention.bytes")
        log = partition.log
        segments = log.segments()
        if not segments:
            return
        active = segments[-1]
        # The active segment is never deleted: roll it when all its records are too old.
        if retention_ms >= 0 and active.size_bytes and wall_ms - _newest_ms(active) > retention_ms:
            log.roll()
            segments = log.segments()
        excess = log.size_bytes - retention_bytes if retention_bytes >= 0 else -1
        keep_from = -1
        for segment, following in pairwise(segments):
            too_old = retention_ms >= 0 and wall_ms - _newest_ms(segment) > retention_ms
            # A segment goes by size only if the log stays at or above retention.bytes
            # without it.
            too_much = excess >= segment.size_bytes
            if not (too_old or too_much) or following.base_offset > partition.high_watermark:
                break
            excess -= segment.size_bytes
            keep_from = following.base_offset
        if keep_from > partition.start_offset:
            partition.delete_before(keep_from)
            self._env.note(
                Level.INFO, f"{partition}: deleted segments before offset {keep_from} (retention)"
            )

    def configure(self, partition: Partition) -> None:
        """Apply the topic's current settings to a partition."""
        topic, config = partition.topic, self._env.config
        segment_bytes = config.topic(topic, "segment.bytes")
        partition.limits = AppendLimits(
            max_message_bytes=config.topic(topic, "max.message.bytes"),
            segment_bytes=segment_bytes,
            append_time=config.topic(topic, "message.timestamp.type") == "LogAppendTime",
            before_max_ms=config.topic(topic, "message.timestamp.before.max.ms"),
            after_max_ms=config.topic(topic, "message.timestamp.after.max.ms"),
            compacted="compact" in config.topic(topic, "cleanup.policy"),
            inspects=bool(config.broker("log.validate.records")),
        )
        partition.min_isr = config.topic(topic, "min.insync.replicas")
        partition.durable = config.durable(topic)
        partition.flush_if_needed()
        partition.log.configure(
            segment_bytes,
            config.topic(topic, "segment.ms"),
            config.topic(topic, "index.interval.bytes"),
        )


def _newest_ms(segment: SegmentInfo) -> int:
    """The time that retention counts from: the newest record's, or the file's without
    one."""
    return segment.max_timestamp if segment.max_timestamp >= 0 else segment.last_modified_ms
