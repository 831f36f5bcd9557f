"""All partitions of this node: which there are, who leads them, and what each tick and timer does
for them.

Metadata decides roles, but only from the moment at which it contains this life's own
registration: what it said before was said to an earlier life of this node, whose log may have
held more (reliability notes, 2.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import (
    BROKER,
    TOPIC,
    MetadataDelta,
    MetadataImage,
    PartitionImage,
)
from embedded_broker.core.ports import PartitionLog, StorageFailed
from embedded_broker.core.replication import housekeeping
from embedded_broker.core.replication.client_fetch import ClientFetches
from embedded_broker.core.replication.deletions import Deletions
from embedded_broker.core.replication.fetcher import Lane
from embedded_broker.core.replication.isr_changes import IsrChanges
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.producer_ids import ProducerIds
from embedded_broker.core.replication.purgatory import AppendWait, Deadlines
from embedded_broker.core.replication.sessions import FetchSessions
from kafka_protocol.errors import ErrorCode
from kafka_protocol.records.batch import batches

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.controller.channel import ControllerChannel

METADATA_TOPIC = "__cluster_metadata"
OFFSETS_TOPIC = "__consumer_offsets"


class Replicas:
    """The replicated partitions of one node."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.node_id = broker.node_id
        self.outbox = broker.outbox
        self.image: MetadataImage = broker.image
        self.clock = broker.clock
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.by_id: dict[tuple[UUID, int], Partition] = {}
        self.broker_epoch = -1
        """This life's incarnation; -1 until the metadata has its registration."""
        self.high_watermarks_changed = False
        self.flushes: dict[Partition, None] = {}
        """Whose logs are to be flushed at the end of this tick."""
        self.isr_changes = IsrChanges(self)
        self.sessions = FetchSessions(self)
        self.client_fetches = ClientFetches(self)
        self.deletions = Deletions(self)
        self.producer_ids = ProducerIds(self)
        self.append_deadlines = Deadlines(broker.outbox, "appends", 250)
        self._lanes: dict[int, Lane] = {}
        self._busy_lanes: dict[Lane, None] = {}
        self._found: dict[tuple[str, int], PartitionLog] = {}
        self._saved_high_watermarks: dict[tuple[str, int], int] = {}
        self._read_settings()

    @property
    def channel(self) -> ControllerChannel:
        return self._broker.channel

    def _read_settings(self) -> None:
        config = self._broker.config
        self.lag_ms: int = config.broker("replica.lag.time.max.ms")
        self.fetch_wait_ms: int = config.broker("replica.fetch.wait.max.ms")
        self.fetch_max_bytes: int = config.broker("replica.fetch.max.bytes")
        self.fetch_response_max_bytes: int = config.broker("replica.fetch.response.max.bytes")
        self.fetch_backoff_ms: int = config.broker("replica.fetch.backoff.ms")
        self.socket_timeout_ms: int = config.broker("replica.socket.timeout.ms")
        self.client_fetch_max_bytes: int = config.broker("fetch.max.bytes")

    def note(self, level: Level, text: str) -> None:
        self.outbox.note(level, text)

    def new_session_id(self) -> int:
        return self._broker.rng.below(0x7FFFFFFE) + 1

    # ---- events
    def start(self, now_ms: int) -> None:
        """Take stock of the disk; partitions come to life with the metadata."""
        self._saved_high_watermarks = dict(self._broker.disk.load_high_watermarks())
        for log in self._broker.disk.logs():
            if log.topic != METADATA_TOPIC:
                self._found[log.topic, log.partition] = log
        housekeeping.start(self._broker, now_ms)

    def tick_ended(self, now_ms: int) -> None:
        """Complete what can be: followers first, for their fetches commit what producers wait
        for."""
        self.sessions.complete_woken(now_ms)
        self.client_fetches.complete_ready(now_ms)
        self.isr_changes.flush(now_ms)
        if self._busy_lanes:
            busy, self._busy_lanes = self._busy_lanes, {}
            for lane in busy:
                lane.send(now_ms)
        if self.flushes:
            flushes, self.flushes = self.flushes, {}
            for partition in flushes:
                if not partition.deleted:
                    self.outbox.flush(
                        partition.log, partial(self._flushed, partition, partition.begin_flush())
                    )

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        self.sessions.connection_closed(connection_id)
        self.client_fetches.connection_closed(connection_id)

    def checkpoint(self) -> None:
        """Write down how far each partition is committed; also called by the lifecycle at an
        orderly stop."""
        if self.high_watermarks_changed:
            self.high_watermarks_changed = False
            values = {key: p.high_watermark for key, p in self.partitions.items()}
            try:
                self._broker.disk.save_high_watermarks({**self._saved_high_watermarks, **values})
            except StorageFailed as e:
                self.note(Level.ERROR, f"high watermarks were not written down: {e}")

    def _flushed(
        self, partition: Partition, began: tuple[int, int], now_ms: int, error: str
    ) -> None:
        if partition.deleted:
            return
        if error:
            self.note(Level.ERROR, f"{partition} could not be flushed: {error}")
            self.outbox.stop(1, f"the disk refused to flush {partition}: {error}")
            return
        if not partition.end_flush(now_ms, began):
            self.flushes[partition] = None
        elif not partition.is_leader:
            lane = self._lanes.get(partition.leader_id)
            if lane is not None:
                lane.flushed(partition)

    # ---- metadata
    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        """The image has changed."""
        own = self.image.brokers.get(self.node_id)
        if own is None or own.incarnation_id != self._broker.lifecycle.incarnation_id:
            return
        if self.broker_epoch < 0:
            self.broker_epoch = own.broker_epoch
            self._meet_metadata(now_ms)
            return
        self.broker_epoch = own.broker_epoch
        if delta.configs:
            self._configure(now_ms, delta)
        for topic in delta.deleted_topics:
            for index in sorted(topic.partitions):
                partition = self.by_id.get((topic.topic_id, index))
                if partition is not None:
                    self._remove(now_ms, partition)
        for name, index in sorted(delta.partitions):
            image = self.image.partition(name, index)
            if image is not None:
                self._apply(now_ms, image)
        if delta.brokers:
            for partition in self.partitions.values():
                partition.consider_joins(now_ms)
                partition.advance_high_watermark(now_ms)

    def _meet_metadata(self, now_ms: int) -> None:
        """This life is registered: from here on the metadata speaks to us."""
        for name in sorted(self.image.topics):
            for index in sorted(self.image.topics[name].partitions):
                self._apply(now_ms, self.image.topics[name].partitions[index])
        for log in self._found.values():
            self.note(
                Level.WARNING,
                f"deleting {log.topic}-{log.partition}, which is no longer assigned to this broker",
            )
            self._broker.disk.delete_log(log)
        self._found.clear()
        self._saved_high_watermarks = {}
        self.high_watermarks_changed = True

    def _apply(self, now_ms: int, image: PartitionImage) -> None:
        key = (image.topic, image.partition)
        partition = self.partitions.get(key)
        if partition is not None and partition.topic_id != image.topic_id:
            self._remove(now_ms, partition)
            partition = None
        if self.node_id not in image.replicas:
            if partition is not None:
                self._remove(now_ms, partition)
            return
        if partition is None:
            partition = self._create(image)
            if partition is None:
                return
        elif image.partition_epoch <= partition.partition_epoch:
            return
        self._change_role(now_ms, partition, image)

    def _change_role(self, now_ms: int, partition: Partition, image: PartitionImage) -> None:
        led = partition.is_leader
        old_leader, old_epoch = partition.leader_id, partition.leader_epoch
        if image.leader == self.node_id and led and image.leader_epoch == old_epoch:
            partition.reassign(now_ms, image)
            return
        if led:
            self._resigned(now_ms, partition)
        leads = (
            image.leader == self.node_id
            and image.leader_epoch > old_epoch
            and partition.lead(now_ms, image)
        )
        if not leads:
            partition.follow(now_ms, image)
        follows = -1 if leads or image.leader == self.node_id else image.leader
        if not led and old_leader >= 0 and old_leader != follows and old_leader in self._lanes:
            self._leave(partition, old_leader)
        if follows >= 0 and (led or old_leader != follows or image.leader_epoch != old_epoch):
            lane = self._lanes.get(follows)
            if lane is None:
                lane = self._lanes[follows] = Lane(self, follows)
            lane.follow(partition)
            self.fetcher_busy(lane)
        if leads and partition.topic == OFFSETS_TOPIC:
            self._broker.groups.on_become_leader(now_ms, partition.index, partition.leader_epoch)

    def _create(self, image: PartitionImage) -> Partition | None:
        key = (image.topic, image.partition)
        log = self._found.pop(key, None)
        if log is not None and log.topic_id != image.topic_id:
            self._broker.disk.delete_log(log)
            log = None
        try:
            if log is None:
                self._saved_high_watermarks.pop(key, None)
                log = self._broker.disk.create_log(image.topic, image.topic_id, image.partition)
            partition = Partition(self, log, self._saved_high_watermarks.get(key, 0))
        except StorageFailed as e:
            self.note(Level.ERROR, f"{image.topic}-{image.partition} has no log: {e}")
            return None
        self.partitions[key] = partition
        self.by_id[image.topic_id, image.partition] = partition
        housekeeping.configure(self._broker, partition)
        return partition

    def _remove(self, now_ms: int, partition: Partition) -> None:
        if partition.is_leader:
            self._resigned(now_ms, partition)
        elif partition.leader_id in self._lanes:
            self._leave(partition, partition.leader_id)
        del self.partitions[partition.topic, partition.index]
        del self.by_id[partition.topic_id, partition.index]
        self.flushes.pop(partition, None)
        partition.close(now_ms)
        self._broker.disk.delete_log(partition.log)
        self.high_watermarks_changed = True

    def _leave(self, partition: Partition, leader_id: int) -> None:
        lane = self._lanes[leader_id]
        lane.leave(partition)
        if not len(lane):
            lane.close()
            del self._lanes[leader_id]
            self._busy_lanes.pop(lane, None)

    def _resigned(self, now_ms: int, partition: Partition) -> None:
        if partition.topic == OFFSETS_TOPIC:
            self._broker.groups.on_resign(now_ms, partition.index)

    def _configure(self, now_ms: int, delta: MetadataDelta) -> None:
        everywhere = any(kind == BROKER for kind, _ in delta.configs)
        if everywhere:
            self._read_settings()
        topics = {name for kind, name in delta.configs if kind == TOPIC}
        for partition in self.partitions.values():
            if everywhere or partition.topic in topics:
                housekeeping.configure(self._broker, partition)
                partition.advance_high_watermark(now_ms)

    # ---- for the partitions
    def woken(self, partition: Partition) -> None:
        """Its role or epoch has changed: whoever waits for it must hear."""
        self.sessions.partition_changed(partition)
        self.deletions.look(partition)
        self.client_fetches.ready.update(partition.waiting_fetches)

    def high_watermark_moved(self, partition: Partition) -> None:
        self.high_watermarks_changed = True
        for held in partition.sessions:
            held.watermarks_moved()
        if partition.waiting_fetches:
            self.client_fetches.ready.update(partition.waiting_fetches)

    def fetcher_busy(self, lane: Lane) -> None:
        """Its turn to send has come, at the end of this tick."""
        if self._lanes.get(lane.leader_id) is lane:
            self._busy_lanes[lane] = None

    # ---- for the apis
    def missing(self, topic: str, index: int) -> int:
        """The error for a partition that is not here."""
        known = self.image.partition(topic, index) is not None
        return ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def endpoints(
        self, listener: str, broker_ids: Iterable[int]
    ) -> Iterator[tuple[int, str, int, str | None]]:
        """(id, host, port, rack) of those brokers that are alive and have this listener."""
        for broker_id in broker_ids:
            broker = self.image.brokers.get(broker_id)
            if broker is None or broker.fenced:
                continue
            for endpoint in broker.endpoints:
                if endpoint.listener == listener:
                    yield broker_id, endpoint.host, endpoint.port, broker.rack
                    break

    # ---- for the coordinator
    def leader_epoch_if_leader(self, topic: str, partition: int) -> int | None:
        found = self.partitions.get((topic, partition))
        return found.leader_epoch if found is not None and found.is_leader else None

    def append_local(
        self,
        now_ms: int,
        topic: str,
        partition: int,
        records: bytearray,
        done: Callable[[int, int, int], None],
    ) -> None:
        """Append as leader with acks=all: ``done(now_ms, error code, base offset)``, once,
        perhaps at once.

        It is not given up after a time: ``done`` tells the true end, commitment or the loss of
        leadership.
        """
        found = self.partitions.get((topic, partition))
        if found is None or not found.is_leader:
            done(
                now_ms,
                self.missing(topic, partition)
                if found is None
                else ErrorCode.NOT_LEADER_OR_FOLLOWER,
                -1,
            )
            return
        if found.under_min_isr:
            done(now_ms, ErrorCode.NOT_ENOUGH_REPLICAS, -1)
            return
        try:
            headers = list(batches(records, check_crc=False))
            base = found.append(now_ms, records, headers, self.clock.wall_ms())
        except StorageFailed as e:
            self.note(Level.ERROR, f"{found} could not be written: {e}")
            done(now_ms, ErrorCode.KAFKA_STORAGE_ERROR, -1)
            return
        found.when_committed(
            now_ms, AppendWait(found.end_offset, lambda then_ms, code: done(then_ms, code, base))
        )

    def read_local(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
        """Whole batches from ``offset`` up to the high watermark; empty at the end, or when not
        here."""
        found = self.partitions.get((topic, partition))
        if found is None or not found.start_offset <= offset < found.high_watermark:
            return b""
        return found.log.read(offset, max_bytes, found.high_watermark, True).tobytes()

    def local_offsets(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        """(log start, high watermark, log end) of a partition led here."""
        found = self.partitions.get((topic, partition))
        if found is None or not found.is_leader:
            return None
        return found.start_offset, found.high_watermark, found.end_offset

    def delete_before(self, now_ms: int, topic: str, partition: int, offset: int) -> None:
        """As leader, move the start of a log forward to an offset at or below its high watermark;
        followers follow."""
        found = self.partitions.get((topic, partition))
        if found is None or not found.is_leader:
            return
        try:
            found.delete_before(min(offset, found.high_watermark))
        except StorageFailed as e:
            self.note(Level.ERROR, f"records of {found} could not be deleted: {e}")
