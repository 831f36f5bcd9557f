"""Planted bugs that no log shows by itself: they need a probe, or a directed plan (F4), to show.

Others than the authors of the simulator thought of them; it missed each at first.
"""

from __future__ import annotations

from typing import Any

from embedded_broker.core.controller import alter_partition
from embedded_broker.core.replication.changes import PendingChanges
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.replica_log import ReplicaLog
from embedded_broker.core.replication.sessions import FetchSessions
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
