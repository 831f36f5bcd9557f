"""Requests of the other voters: Vote, BeginQuorumEpoch, EndQuorumEpoch, and Fetch of
the metadata log.

A message of another cluster is refused before any of its content is used; then its
epoch is judged, before everything else. A vote is on disk before the response leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.topics import METADATA_TOPIC, METADATA_TOPIC_ID
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.campaign import CONDITIONAL_VOTE
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.quorum.voter import NOBODY, Role
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages import k52_vote as k52
from kafka_protocol.messages import k53_begin_quorum_epoch as k53
from kafka_protocol.messages import k54_end_quorum_epoch as k54
from kafka_protocol.messages.k01_fetch import (
    FetchableTopicResponse,
    FetchResponse,
    LeaderIdAndEpoch,
    PartitionData,
)


# ---- Vote (52)
def vote(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """Grant or refuse a vote or a pre-vote (KIP-595, KIP-996)."""
    partition = _only_partition(q, event, k52.VoteResponse)
    if partition is None:
        return
    try:
        error, granted = _judge_vote(q, now_ms, event, partition)
    except StorageFailed as e:
        _cannot_write(q, event, e)
        return
    result = k52.ResponsePartitionData(0, error, q.leader_id, q.epoch, granted)
    topics = [k52.ResponseTopicData(METADATA_TOPIC, [result])]
    q.env.outbox.respond(event, k52.VoteResponse(topics=topics))


def _judge_vote(
    q: Quorum, now_ms: int, event: RequestReceived, vote: k52.PartitionData
) -> tuple[ErrorCode, bool]:
    """Return (error, whether the vote is granted). An error says that the request is
    invalid; a refused valid request has none, a conditional grant has CONDITIONAL_VOTE.

    Raises:
        StorageFailed: no vote was given.
    """
    candidate = vote.replica_id
    # The request is for another node: this one took over its address.
    if event.version >= 1 and event.message.voter_id not in (NOBODY, q.node_id):
        return ErrorCode.INVALID_VOTER_KEY, False
    # Only the other voters may be candidates.
    if candidate not in q.voters or candidate == q.node_id:
        return ErrorCode.INCONSISTENT_VOTER_SET, False
    # Nobody campaigns in the name of another broker.
    if event.caller.broker_id != candidate:
        return ErrorCode.CLUSTER_AUTHORIZATION_FAILED, False
    # A candidate of an older epoch has been overtaken; the response shows it the newer
    # one.
    if vote.replica_epoch < q.epoch:
        return ErrorCode.FENCED_LEADER_EPOCH, False
    # No log has negative offsets, or records of an epoch that has not begun.
    if (
        vote.last_offset < 0
        or vote.last_offset_epoch < 0
        or vote.last_offset_epoch > vote.replica_epoch
    ):
        return ErrorCode.INVALID_REQUEST, False
    # A candidate must have at least this node's log: a later last epoch, or the same
    # and as long. Any majority then includes a voter with every committed record, which
    # refuses shorter logs.
    has_log = (vote.last_offset_epoch, vote.last_offset) >= (q.log.last_epoch, q.log.end_offset)
    yes = CONDITIONAL_VOTE if q.votes_conditionally else ErrorCode.NONE
    if vote.pre_vote:
        # A node that was cut off must not replace a leader that works: whoever leads,
        # or hears its leader, refuses.
        if q.role is Role.LEADER or (q.following is not None and q.following.in_touch(now_ms)):
            return ErrorCode.NONE, False
        # Adopt the newer epoch without a vote in it; a pre-vote binds nobody.
        if vote.replica_epoch > q.epoch:
            q.become(now_ms, Role.UNATTACHED, vote.replica_epoch, NOBODY, NOBODY)
        return yes, has_log
    # A newer epoch ends any role in the old one, also when the vote is refused. The
    # vote, if any, is on disk together with the epoch before the response leaves.
    if vote.replica_epoch > q.epoch:
        voted_id = candidate if has_log else NOBODY
        q.become(now_ms, Role.UNATTACHED, vote.replica_epoch, NOBODY, voted_id)
        return yes, has_log
    # Asked again by the candidate that has this node's vote: the first response may be
    # lost. But no vote against a leader that has been elected meanwhile.
    if q.voted_id == candidate:
        return yes, q.leader_id in (NOBODY, candidate)
    # One vote per epoch; none once the epoch has a leader; none for a shorter log.
    if q.voted_id != NOBODY or q.leader_id != NOBODY or not has_log:
        return ErrorCode.NONE, False
    # Without a vote and a leader in this epoch, this node is neither candidate nor
    # follower.
    assert q.role in (Role.UNATTACHED, Role.PROSPECTIVE), f"free to vote as {q.role}"
    q.become(now_ms, Role.UNATTACHED, q.epoch, NOBODY, candidate)
    return yes, True


# ---- BeginQuorumEpoch (53), EndQuorumEpoch (54)
def begin_quorum_epoch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """A new leader announces itself: follow it."""
    partition = _only_partition(q, event, k53.BeginQuorumEpochResponse)
    if partition is None:
        return

    def follow() -> None:
        q.learn_epoch(now_ms, partition.leader_epoch, partition.leader_id)
        # The leader was known but not followed (this node could not write its state for
        # a while).
        if q.role is Role.UNATTACHED and q.leader_id == partition.leader_id:
            q.become(now_ms, Role.FOLLOWER, q.epoch, q.leader_id, q.voted_id)

    for_other = event.version >= 1 and event.message.voter_id not in (NOBODY, q.node_id)
    wrong = ErrorCode.INVALID_VOTER_KEY if for_other else ErrorCode.NONE
    error = _from_leader(q, event, partition, wrong, follow)
    if error is None:
        return
    result = k53.ResponsePartitionData(0, error, q.leader_id, q.epoch)
    topics = [k53.ResponseTopicData(METADATA_TOPIC, [result])]
    q.env.outbox.respond(event, k53.BeginQuorumEpochResponse(topics=topics))


def end_quorum_epoch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """The leader shuts down: campaign without waiting for its silence."""
    partition = _only_partition(q, event, k54.EndQuorumEpochResponse)
    if partition is None:
        return

    def succeed() -> None:
        q.learn_epoch(now_ms, partition.leader_epoch, partition.leader_id)
        if q.role in (Role.FOLLOWER, Role.UNATTACHED):
            order = [c.candidate_id for c in partition.preferred_candidates] or list(
                partition.preferred_successors
            )
            position = order.index(q.node_id) if q.node_id in order else len(order)
            q.campaign_soon(now_ms, position)

    error = _from_leader(q, event, partition, ErrorCode.NONE, succeed)
    if error is None:
        return
    result = k54.ResponsePartitionData(0, error, q.leader_id, q.epoch)
    topics = [k54.ResponseTopicData(METADATA_TOPIC, [result])]
    q.env.outbox.respond(event, k54.EndQuorumEpochResponse(topics=topics))


def _from_leader(
    q: Quorum,
    event: RequestReceived,
    partition: k53.PartitionData | k54.PartitionData,
    error: ErrorCode,
    accept: Callable[[], None],
) -> ErrorCode | None:
    """Judge what a leader says of its epoch; call ``accept`` when it is valid and
    ``error`` is NONE. Return the error code, or None when the request was dropped
    because the disk failed."""
    if partition.leader_id not in q.voters:
        return ErrorCode.INCONSISTENT_VOTER_SET
    # Nobody leads or resigns in the name of another: two leaders of one epoch would stop this node.
    if event.caller.broker_id != partition.leader_id:
        return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    if error is not ErrorCode.NONE:
        return error
    if partition.leader_epoch < q.epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    try:
        accept()
    except StorageFailed as e:
        _cannot_write(q, event, e)
        return None
    return ErrorCode.NONE


# ---- Fetch (1) of the metadata log
def fetch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """Serve a Fetch of the metadata log; only brokers of this cluster replicate it."""
    request = event.message
    if _other_cluster(q, request.cluster_id):
        q.env.outbox.respond(event, FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
        return
    replica_id = request.replica_state.replica_id if event.version >= 15 else request.replica_id
    requested = request.topics[0].partitions[0]
    error = ErrorCode.NONE
    leading = q.leading
    # A fetch offset confirms records for the high watermark, so nobody may fetch in the
    # name of another broker.
    if event.caller.broker_id < 0 or replica_id != event.caller.broker_id:
        error = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    # The epochs agree before the offset is looked at: an offset of another epoch may
    # stand for other records.
    elif requested.current_leader_epoch < q.epoch:
        error = ErrorCode.FENCED_LEADER_EPOCH
    elif requested.current_leader_epoch > q.epoch:
        error = ErrorCode.UNKNOWN_LEADER_EPOCH
    elif leading is None:
        error = ErrorCode.NOT_LEADER_OR_FOLLOWER
    # A second process with this id has another log: what it confirms is not on the disk
    # of the broker that votes.
    elif q.listener.is_impostor(now_ms, replica_id, requested.replica_directory_id):
        error = ErrorCode.INVALID_VOTER_KEY
    else:
        leading.fetch(now_ms, event, replica_id, requested)
        return
    # Every refusal names the leader and epoch known here, so that the replica finds it.
    data = PartitionData(
        error_code=error,
        high_watermark=-1,
        current_leader=LeaderIdAndEpoch(q.leader_id, q.epoch),
        aborted_transactions=None,
    )
    topics = [
        FetchableTopicResponse(topic=METADATA_TOPIC, topic_id=METADATA_TOPIC_ID, partitions=[data])
    ]
    q.env.outbox.respond(event, FetchResponse(responses=topics))


# ---- common to all
def _other_cluster(q: Quorum, cluster_id: str | None) -> bool:
    return cluster_id is not None and cluster_id != q.cluster_id


def _only_partition(
    q: Quorum, event: RequestReceived, response: Callable[[ErrorCode], Any]
) -> Any | None:
    """Return the one partition that a quorum message must be about. When the request
    comes from another cluster, or names another partition, more, or none, respond with
    the error and return None."""
    request = event.message
    error = ErrorCode.INVALID_REQUEST
    if _other_cluster(q, request.cluster_id):
        error = ErrorCode.INCONSISTENT_CLUSTER_ID
    elif len(request.topics) == 1 and request.topics[0].topic_name == METADATA_TOPIC:
        partitions = request.topics[0].partitions
        if len(partitions) == 1 and partitions[0].partition_index == 0:
            return partitions[0]
    q.env.outbox.respond(event, response(error))
    return None


def _cannot_write(q: Quorum, event: RequestReceived, error: StorageFailed) -> None:
    """A vote or an epoch that is not on disk must not be answered: drop the request."""
    q.env.note(Level.ERROR, f"Cannot write the quorum state: {error}")
    q.env.outbox.drop(event, "the quorum state cannot be written")
