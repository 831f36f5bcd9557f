"""All partitions of this node: which ones it has, who leads them, and what each tick
and timer does for them.

Metadata decides the roles, but only from the moment at which it contains this
incarnation's own registration. Older metadata addressed a previous incarnation of this
node, whose log may have had more records.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol
from uuid import UUID

from embedded_broker.core.disk_health import DiskHealth
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.metadata.image import BROKER, TOPIC, MetadataDelta, PartitionImage
from embedded_broker.core.metadata.topics import METADATA_TOPIC, OFFSETS_TOPIC
from embedded_broker.core.ports import ControllerCalls, LogDamaged, PartitionLog, StorageFailed
from embedded_broker.core.replication import changes
from embedded_broker.core.replication.changes import Change, PendingChanges
from embedded_broker.core.replication.client_fetch import ClientFetches
from embedded_broker.core.replication.deletions import Deletions
from embedded_broker.core.replication.fetcher import Lane
from embedded_broker.core.replication.housekeeping import Housekeeping
from embedded_broker.core.replication.isr_changes import IsrChanges
from embedded_broker.core.replication.local_log import PartitionsLedHere
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.producer_ids import ProducerIds
from embedded_broker.core.replication.producer_loads import ProducerLoads
from embedded_broker.core.replication.purgatory import Deadlines
from embedded_broker.core.replication.sessions import FetchSessions
from embedded_broker.core.replication.table import ReplicaTable


class Registration(Protocol):
    """This broker process as the controller will know it; ``controller.lifecycle``
    implements it."""

    @property
    def incarnation_id(self) -> UUID:
        """Identifies this process in its registration."""


class OffsetsListener(Protocol):
    """Learns which partitions of ``__consumer_offsets`` this node leads; ``Broker``
    passes the calls to the group coordinator."""

    def on_offsets_leader(self, now_ms: int, partition: int, leader_epoch: int) -> None:
        """This node leads the partition from this epoch on."""

    def on_offsets_resign(self, now_ms: int, partition: int) -> None:
        """This node no longer leads the partition."""


class Replicas:
    """The replicated partitions of one node."""

    def __init__(
        self,
        env: Environment,
        calls: ControllerCalls,
        registration: Registration,
        offsets_listener: OffsetsListener,
        disk_health: DiskHealth,
    ) -> None:
        self.env = env
        self.disk_health = disk_health
        self._registration = registration
        self._offsets_listener = offsets_listener
        self.table = ReplicaTable(env)
        self.partitions = self.table.partitions
        self.isr_changes = IsrChanges(env, calls, self.table)
        self.sessions = FetchSessions(env, self.table)
        self.client_fetches = ClientFetches(env, self.table)
        self.deletions = Deletions(env)
        self.producer_ids = ProducerIds(env, calls, self.table)
        self.housekeeping = Housekeeping(env, self.table, self.checkpoint, disk_health, self._mend)
        self.producer_loads = ProducerLoads(env.outbox)
        self.local_log = PartitionsLedHere(env, self.table, self.storage_failed)
        self.append_deadlines = Deadlines(env.outbox, "appends", 250)
        self._changes: PendingChanges[Change] = PendingChanges(
            env.outbox, "changes of partitions", lambda: changes.AT_ONCE, self._follow
        )
        self._settings_changed: PendingChanges[tuple[str, int]] = PendingChanges(
            env.outbox,
            "settings of partitions",
            lambda: changes.SETTINGS_AT_ONCE,
            self._configure_one,
        )
        self._lanes: dict[int, Lane] = {}
        """Leader id -> the lane to it; only lanes with partitions."""
        self._ready_lanes: dict[Lane, None] = {}
        """Lanes that may send at the end of this tick."""
        self._flushes: dict[Partition, None] = {}
        """Partitions whose logs are flushed at the end of this tick."""
        self._unclaimed: dict[tuple[str, int], PartitionLog] = {}
        """Logs found on the disk at the start, until the metadata assigns them to this
        node."""
        self._saved_high_watermarks: dict[tuple[str, int], int] = {}
        """As found on the disk, until every partition has taken its own."""
        self._missing: set[tuple[str, int]] = set()
        """Assigned partitions whose log could not be opened, until the disk works again."""
        self._retrying = False
        """Whether the logs of ``_missing`` are being opened on a disk that works."""
        self._undeleted: list[PartitionLog] = []
        """Logs that are to be deleted as soon as the disk works again."""
        self._unsaved_high_watermarks = False
        """Whether some high watermark moved since the last checkpoint."""

    # ---- events
    def start(self, now_ms: int) -> None:
        """Read what the disk has; partitions are made when the metadata arrives."""
        self._saved_high_watermarks = dict(self.env.disk.load_high_watermarks())
        for log in self.env.disk.logs():
            if log.topic != METADATA_TOPIC:
                self._unclaimed[log.topic, log.partition] = log
        self.housekeeping.start(now_ms)

    def tick_ended(self, now_ms: int) -> None:
        """Answer the fetches that can be answered, send what has been gathered. Followers
        first: their next fetches commit the records that producers wait for."""
        self.sessions.complete_woken(now_ms)
        self.client_fetches.complete_ready(now_ms)
        self.local_log.tick_ended(now_ms)
        self.isr_changes.flush(now_ms)
        if self._ready_lanes:
            ready, self._ready_lanes = self._ready_lanes, {}
            for lane in ready:
                lane.send(now_ms)
        if self._flushes:
            flushes, self._flushes = self._flushes, {}
            for partition in flushes:
                if not partition.deleted:
                    self.env.outbox.flush(
                        partition.log, partial(self._flushed, partition, partition.begin_flush())
                    )

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        """Drop the fetches of this connection."""
        self.sessions.connection_closed(connection_id)
        self.client_fetches.connection_closed(connection_id)

    def checkpoint(self) -> None:
        """Save the high watermarks if some moved, and the producers of busy logs."""
        for partition in self.partitions.values():
            try:
                partition.save_producers()
            except StorageFailed as e:
                self.env.note(Level.ERROR, f"Cannot save the producers of {partition}: {e}")
        if self._unsaved_high_watermarks:
            self._unsaved_high_watermarks = False
            values = {key: p.high_watermark for key, p in self.partitions.items()}
            try:
                self.env.disk.save_high_watermarks({**self._saved_high_watermarks, **values})
            except StorageFailed as e:
                self.env.note(Level.ERROR, f"Cannot save the high watermarks: {e}")

    def _flushed(
        self, partition: Partition, began: tuple[int, int], now_ms: int, error: str
    ) -> None:
        if partition.deleted:
            return
        if error:
            # After a failed fsync the kernel may report the lost pages as clean: stop.
            self.env.note(Level.ERROR, f"Cannot flush {partition}: {error}")
            self.env.outbox.stop(1, f"the disk failed to flush {partition}: {error}")
            return
        if not partition.end_flush(now_ms, began):
            self._flushes[partition] = None
        elif not partition.is_leader:
            lane = self._lanes.get(partition.leader_id)
            if lane is not None:
                lane.flushed(partition)

    # ---- metadata
    def on_metadata(self, now_ms: int, delta: MetadataDelta) -> None:
        """The applied metadata changed."""
        image = self.env.image
        own = image.brokers.get(self.env.node_id)
        if own is None or own.incarnation_id != self._registration.incarnation_id:
            return
        first = self.table.broker_epoch < 0
        self.table.broker_epoch = own.broker_epoch
        if first:
            self._adopt_metadata(now_ms)
            return
        if delta.configs:
            self._configure(now_ms, delta)
        deleted = [(t.topic_id, index) for t in delta.deleted_topics for index in t.partitions]
        self._changes.add(now_ms, [*deleted, *sorted(delta.partitions)])
        if delta.brokers:
            # A follower may be eligible now, or no longer hold the high watermark back.
            for partition in self.partitions.values():
                partition.consider_joins(now_ms)
                partition.advance_high_watermark(now_ms)

    def partition_now(self, now_ms: int, topic: str, index: int) -> Partition | None:
        """Return this node's replica in the role that the metadata gives it now."""
        self._changes.hurry(now_ms, (topic, index))
        self._settings_changed.hurry(now_ms, (topic, index))
        return self.partitions.get((topic, index))

    def _follow(self, now_ms: int, change: Change) -> None:
        """Make this node's replica what the metadata says."""
        topic, index = change
        if isinstance(topic, UUID):
            partition = self.table.by_id.get((topic, index))
            if partition is not None:
                self._remove(now_ms, partition)
            return
        image = self.env.image.partition(topic, index)
        if image is not None:
            self._apply(now_ms, image)

    def _adopt_metadata(self, now_ms: int) -> None:
        """This incarnation is registered: take its roles; set aside unassigned logs."""
        topics = self.env.image.topics
        for name in sorted(topics):
            for index in sorted(topics[name].partitions):
                self._apply(now_ms, topics[name].partitions[index])
        # Those of ``_missing`` are assigned: they are opened when the disk works again.
        kept = {key: log for key, log in self._unclaimed.items() if key in self._missing}
        for log in (log for key, log in self._unclaimed.items() if key not in kept):
            # Not deleted: the metadata may be what is wrong (a lost disk, a restored backup).
            name = f"{log.topic}-{log.partition}"
            self.env.note(
                Level.WARNING, f"Setting aside {name}, which is not assigned to this broker."
            )
            try:
                self.env.disk.set_aside(log)
            except StorageFailed as e:
                self.storage_failed(now_ms, f"cannot set aside {name}", e)
        self._unclaimed = kept
        self._saved_high_watermarks = {
            key: offset for key, offset in self._saved_high_watermarks.items() if key in kept
        }
        self._unsaved_high_watermarks = True

    def _apply(self, now_ms: int, image: PartitionImage) -> None:
        """Make, change or remove this node's replica as the metadata says."""
        key = (image.topic, image.partition)
        partition = self.partitions.get(key)
        # The topic was deleted and created again with the same name.
        if partition is not None and partition.topic_id != image.topic_id:
            self._remove(now_ms, partition)
            partition = None
        if self.env.node_id not in image.replicas:
            if partition is not None:
                self._remove(now_ms, partition)
            return
        if partition is None:
            partition = self._create(now_ms, image)
            if partition is None:
                return
        elif image.partition_epoch <= partition.partition_epoch:
            # An AlterPartition response was faster than the metadata.
            return
        if partition.log.damage and self._is_replaceable(image):
            partition = self._replace(now_ms, partition, image)
            if partition is None:
                return
        self._change_role(now_ms, partition, image)

    def _is_replaceable(self, image: PartitionImage) -> bool:
        """Return whether this node's copy can be fetched anew: another broker leads, and nobody
        counts this copy."""
        node_id = self.env.node_id
        return image.leader not in (-1, node_id) and node_id not in (*image.isr, *image.elr)

    def _replace(
        self, now_ms: int, partition: Partition, image: PartitionImage
    ) -> Partition | None:
        """Set a damaged log aside and begin an empty one. If the disk fails: as it was, or None."""
        self.env.note(
            Level.WARNING,
            f"{partition}: fetching the partition anew from broker {image.leader}, "
            f"the log is damaged: {partition.log.damage}",
        )
        try:
            self.env.disk.set_aside(partition.log)
        except StorageFailed as e:
            self.storage_failed(now_ms, f"cannot set aside {partition}", e)
            return partition
        self._forget(now_ms, partition)
        return self._create(now_ms, image)

    def _mend(self, now_ms: int) -> None:
        """Give up the damaged copies that others lead; a leader gives up its own. Called by a
        timer."""
        damaged = [p for p in self.partitions.values() if p.log.damage and not p.is_leader]
        for partition in damaged:
            image = self.env.image.partition(partition.topic, partition.index)
            if image is None or image.partition_epoch != partition.partition_epoch:
                continue  # a change is on its way to it
            if self._is_replaceable(image):
                fresh = self._replace(now_ms, partition, image)
                if fresh is not None and fresh is not partition:
                    self._change_role(now_ms, fresh, image)
            elif image.leader in self._lanes:
                self._lanes[image.leader].give_up(
                    partition, _can_leave(partition, self.env.node_id)
                )

    def _change_role(self, now_ms: int, partition: Partition, image: PartitionImage) -> None:
        node_id = self.env.node_id
        led = partition.is_leader
        old_leader, old_epoch = partition.leader_id, partition.leader_epoch
        if image.leader == node_id and led and image.leader_epoch == old_epoch:
            partition.reassign(now_ms, image)
            return
        if led:
            self._resigned(now_ms, partition)
        leads = (
            image.leader == node_id
            and image.leader_epoch > old_epoch
            and partition.lead(now_ms, image)
        )
        if not leads:
            partition.follow(now_ms, image)
        follows = -1 if leads or image.leader == node_id else image.leader
        if not led and old_leader >= 0 and old_leader != follows and old_leader in self._lanes:
            self._leave_lane(partition, old_leader)
        # Also when the same broker leads a new epoch: the logs must be compared again
        # (KAFKA-7164).
        if follows >= 0 and (led or old_leader != follows or image.leader_epoch != old_epoch):
            lane = self._lanes.get(follows)
            if lane is None:
                lane = self._lanes[follows] = Lane(self.env, self.table, self, follows)
            lane.follow(partition)
            self.lane_ready(lane)
        if leads:
            self.producer_loads.add(now_ms, partition)
        if leads and partition.topic == OFFSETS_TOPIC:
            self._offsets_listener.on_offsets_leader(
                now_ms, partition.index, partition.leader_epoch
            )

    def _create(self, now_ms: int, image: PartitionImage) -> Partition | None:
        """Make the replica from the log on the disk, or with a new log; None when the
        disk fails. Then what there is of a log stays unclaimed for ``on_disk_recovered``."""
        key = (image.topic, image.partition)
        log = self._unclaimed.get(key)
        try:
            if log is not None and log.topic_id != image.topic_id:
                self.env.disk.delete_log(log)
                del self._unclaimed[key]
                log = None
            if log is None:
                self._saved_high_watermarks.pop(key, None)
                log = self.env.disk.create_log(image.topic, image.topic_id, image.partition)
                self._unclaimed[key] = log
            partition = Partition(self.env, self, log, self._saved_high_watermarks.get(key, 0))
        except StorageFailed as e:
            what = f"cannot open the log of {image.topic}-{image.partition}"
            if self._retrying:
                # The directory takes writes, and this log alone is in the way: the broker serves
                # without it rather than never again.
                self.env.note(Level.ERROR, f"This replica is offline: {what}: {e}")
            else:
                self.storage_failed(now_ms, what, e)
            self._missing.add(key)
            return None
        del self._unclaimed[key]
        self._missing.discard(key)
        self.partitions[key] = partition
        self.table.by_id[image.topic_id, image.partition] = partition
        self.housekeeping.configure(partition)
        self.producer_loads.add(now_ms, partition)
        return partition

    def _remove(self, now_ms: int, partition: Partition) -> None:
        self._forget(now_ms, partition)
        self._delete_log(now_ms, partition.log)

    def _forget(self, now_ms: int, partition: Partition) -> None:
        """Drop the replica, but not its log."""
        if partition.is_leader:
            self._resigned(now_ms, partition)
        elif partition.leader_id in self._lanes:
            self._leave_lane(partition, partition.leader_id)
        del self.partitions[partition.topic, partition.index]
        del self.table.by_id[partition.topic_id, partition.index]
        self._flushes.pop(partition, None)
        partition.close(now_ms)
        self._unsaved_high_watermarks = True

    def _delete_log(self, now_ms: int, log: PartitionLog) -> None:
        """Delete a log; if the disk refuses, the rest of the metadata still counts and the log
        goes when the disk works again."""
        try:
            self.env.disk.delete_log(log)
        except StorageFailed as e:
            self._undeleted.append(log)
            self.storage_failed(now_ms, f"cannot delete {log.topic}-{log.partition}", e)

    # ---- a disk that fails
    def storage_failed(self, now_ms: int, what: str, error: StorageFailed) -> None:
        """A write failed; ``what`` is a clause such as "cannot write orders-0". A damaged log does
        not fail the directory."""
        if isinstance(error, LogDamaged):
            self.env.note(Level.ERROR, f"{what[:1].upper()}{what[1:]}: {error}")
        else:
            self.disk_health.write_failed(now_ms, what, error)

    def on_disk_fenced(self, now_ms: int) -> None:
        """The controller gives the leaderships to others. The metadata that says so may not
        reach this broker, whose disk cannot store it: stop to lead now."""
        for partition in self.partitions.values():
            if partition.is_leader:
                self._resigned(now_ms, partition)
                partition.resign(now_ms)

    def on_disk_recovered(self, now_ms: int) -> None:
        """Delete and open the logs that could not be deleted and opened."""
        undeleted, self._undeleted = self._undeleted, []
        for log in undeleted:
            self._delete_log(now_ms, log)
        self._retrying = True
        for key in sorted(self._missing):
            self._missing.discard(key)
            self._follow(now_ms, key)
        self._retrying = False

    def _leave_lane(self, partition: Partition, leader_id: int) -> None:
        lane = self._lanes[leader_id]
        lane.leave(partition)
        if not len(lane):
            lane.close()
            del self._lanes[leader_id]
            self._ready_lanes.pop(lane, None)

    def _resigned(self, now_ms: int, partition: Partition) -> None:
        if partition.topic == OFFSETS_TOPIC:
            self._offsets_listener.on_offsets_resign(now_ms, partition.index)

    def _configure(self, now_ms: int, delta: MetadataDelta) -> None:
        """Apply changed settings to the partitions that they concern, to many of them later."""
        everywhere = any(kind == BROKER for kind, _ in delta.configs)
        if everywhere:
            self.table.settings.read()
        topics = {name for kind, name in delta.configs if kind == TOPIC}
        concerned = (
            self.partitions if everywhere else (k for k in self.partitions if k[0] in topics)
        )
        self._settings_changed.add(now_ms, concerned)

    def _configure_one(self, now_ms: int, place: tuple[str, int]) -> None:
        partition = self.partitions.get(place)
        if partition is not None:
            self.housekeeping.configure(partition)
            partition.advance_high_watermark(now_ms)

    # ---- PartitionOwner and LaneOwner
    @property
    def lag_ms(self) -> int:
        """replica.lag.time.max.ms"""
        return self.table.settings.lag_ms

    def role_changed(self, partition: Partition) -> None:
        """Let the waiting requests learn of a partition's new role or epoch."""
        self.sessions.partition_changed(partition)
        self.deletions.check(partition)
        for fetch in partition.waiting_fetches:
            fetch.wake()

    def high_watermark_changed(self) -> None:
        """Save the high watermarks at the next checkpoint."""
        self._unsaved_high_watermarks = True

    def needs_flush(self, partition: Partition) -> None:
        """Flush the partition's log at the end of this tick."""
        self._flushes[partition] = None

    def isr_proposed(self, partition: Partition) -> None:
        """Send the partition's proposal at the end of this tick."""
        self.isr_changes.add(partition)

    def follower_start_moved(self, partition: Partition) -> None:
        """A waiting DeleteRecords may be done."""
        self.deletions.check(partition)

    def lane_ready(self, lane: Lane) -> None:
        """Let the lane send at the end of this tick; a closed lane is ignored."""
        if self._lanes.get(lane.leader_id) is lane:
            self._ready_lanes[lane] = None


def _can_leave(partition: Partition, node_id: int) -> bool:
    """Return whether enough others are in sync without this copy: writes go on, and it is not made
    an eligible leader (KIP-966), which nobody may drop."""
    enough = max(1, min(partition.min_isr, len(partition.assigned)))
    has_committed = partition.high_watermark > partition.start_offset
    return has_committed and node_id in partition.isr and len(partition.isr) - 1 >= enough
