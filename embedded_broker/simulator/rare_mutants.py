"""Planted bugs that no log shows by itself: they need a probe, or a directed plan (F4), to show.

Others than the authors of the simulator thought of them; it missed each at first.
"""

from __future__ import annotations

from typing import Any

from embedded_broker.core.api import k02_list_offsets
from embedded_broker.core.controller import alter_partition
from embedded_broker.core.log import time_lookup
from embedded_broker.core.outbox import Outbox
from embedded_broker.core.replication.changes import PendingChanges
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.replica_log import ReplicaLog
from embedded_broker.core.replication.sessions import FetchSessions
from embedded_broker.simulator.disk import SimDisk
from embedded_broker.simulator.planting import Patch, mutant


# ---- replication
@mutant("a leader goes on with a fetch session whatever id and epoch the follower names", "F4")
def stale_fetch_session(patch: Patch) -> None:
    fetch = FetchSessions.fetch

    def planted_fetch(
        self: Any, now_ms: int, event: Any, replica_id: int, broker_epoch: int
    ) -> None:
        session = self._by_replica.get(replica_id)
        if session is not None and event.message.session_epoch > 0:
            event.message.session_id = session.session_id
            event.message.session_epoch = session.next_epoch
        fetch(self, now_ms, event, replica_id, broker_epoch)

    patch(FetchSessions, "fetch", planted_fetch)


@mutant("AlterPartition of an earlier incarnation of the leader is accepted", family="F4")
def stale_alter_partition(patch: Patch) -> None:
    judge = alter_partition.alter_partition

    def planted_judge(controller: Any, now_ms: int, event: Any) -> None:
        broker = controller.image.brokers.get(event.message.broker_id)
        if broker is not None:
            event.message.broker_epoch = broker.broker_epoch
        judge(controller, now_ms, event)

    patch(alter_partition, "alter_partition", planted_judge)


@mutant("on a durable topic what is not flushed counts", family="F4")
def durable_unflushed_counts(patch: Patch) -> None:
    patch(ReplicaLog, "stable_offset", property(lambda self: self.log.log_end_offset))


@mutant("a follower does not learn where the leader's log starts", family="F4")
def log_start_not_propagated(patch: Patch) -> None:
    learn = Partition.leader_is_at

    def planted_learn(self: Any, high_watermark: int, start_offset: int) -> None:
        learn(self, high_watermark, 0)

    patch(Partition, "leader_is_at", planted_learn)


@mutant("a new leader refuses a batch by its old role while its change of role waits in line")
def old_role_refuses(patch: Patch) -> None:
    patch(PendingChanges, "hurry", lambda self, now_ms, change: None)


# ---- clocks, settings, time
@mutant("a broker believes the wall clock that it starts under", family="F4")
def clock_believed_at_start(patch: Patch) -> None:
    patch(SimDisk, "load_wall_ms", lambda self: -1)


@mutant("a lookup by time returns the end of the batch")
def time_lookup_returns_the_last(patch: Patch) -> None:
    look_up = time_lookup.first_at_or_after

    def planted(log: Any, timestamp: int, end_offset: int) -> Any:
        found = yield from look_up(log, timestamp, end_offset)
        return None if found is None else (log.headers(found[0]).__next__().last_offset, found[1])

    patch(k02_list_offsets, "first_at_or_after", planted)


@mutant("the callback of a request to a peer stays when it has been called", family="F0")
def callbacks_kept(patch: Patch) -> None:
    send = Outbox.send

    def planted(self: Any, *args: Any) -> Any:
        self._sends[-self._ids - 1] = args[-1]
        return send(self, *args)

    patch(Outbox, "send", planted)
