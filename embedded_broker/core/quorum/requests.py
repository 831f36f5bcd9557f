"""What the other voters ask of this one: Vote, BeginQuorumEpoch, EndQuorumEpoch, and Fetch of the
metadata log.

A message of another cluster is refused before anything in it is believed; then its epoch is
looked at, before all else. A vote is on disk before it is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.campaign import FORGETFUL_VOTE
from embedded_broker.core.quorum.log import METADATA_TOPIC, METADATA_TOPIC_ID
from embedded_broker.core.quorum.quorum import NOBODY, Quorum, Role
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages import k52_vote as vote_messages
from kafka_protocol.messages import k53_begin_quorum_epoch as begin_messages
from kafka_protocol.messages import k54_end_quorum_epoch as end_messages
from kafka_protocol.messages.k01_fetch import (
    FetchableTopicResponse,
    FetchResponse,
    LeaderIdAndEpoch,
    PartitionData,
)

if TYPE_CHECKING:
    from kafka_protocol.messages.k52_vote import PartitionData as VoteQuestion


def vote(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    if _other_cluster(q, request.cluster_id):
        q.broker.outbox.respond(
            event, vote_messages.VoteResponse(ErrorCode.INCONSISTENT_CLUSTER_ID)
        )
        return
    asked = _only_partition(request.topics)
    if asked is None:
        q.broker.outbox.respond(event, vote_messages.VoteResponse(ErrorCode.INVALID_REQUEST))
        return
    try:
        error, granted = _judge(q, now_ms, event, asked)
    except StorageFailed as e:
        q.broker.outbox.note(Level.ERROR, f"A vote cannot be written: {e}")
        q.broker.outbox.drop(event, "the vote cannot be written")
        return
    answer = vote_messages.ResponsePartitionData(0, error, q.leader_id, q.epoch, granted)
    q.broker.outbox.respond(
        event,
        vote_messages.VoteResponse(
            topics=[vote_messages.ResponseTopicData(METADATA_TOPIC, [answer])]
        ),
    )


def _judge(
    q: Quorum, now_ms: int, event: RequestReceived, asked: VoteQuestion
) -> tuple[ErrorCode, bool]:
    """Whether this node votes as asked; an error says why the question itself is refused.

    Raises:
        StorageFailed: no vote was given.
    """
    candidate = asked.replica_id
    if event.version >= 1 and event.message.voter_id not in (NOBODY, q.node_id):
        return ErrorCode.INVALID_VOTER_KEY, False
    if candidate not in q.voters or candidate == q.node_id:
        return ErrorCode.INCONSISTENT_VOTER_SET, False
    if asked.replica_epoch < q.epoch:
        return ErrorCode.FENCED_LEADER_EPOCH, False
    if (
        asked.last_offset < 0
        or asked.last_offset_epoch < 0
        or asked.last_offset_epoch > asked.replica_epoch
    ):
        return ErrorCode.INVALID_REQUEST, False
    has_log = (asked.last_offset_epoch, asked.last_offset) >= (q.log.last_epoch, q.log.end_offset)
    yes = FORGETFUL_VOTE if q.forgetful else ErrorCode.NONE
    if asked.pre_vote:
        if q.role is Role.LEADER or (q.following is not None and q.following.in_touch(now_ms)):
            return ErrorCode.NONE, False
        if asked.replica_epoch > q.epoch:
            q.become(now_ms, Role.UNATTACHED, asked.replica_epoch, NOBODY, NOBODY)
        return yes, has_log
    if asked.replica_epoch > q.epoch:
        voted_id = candidate if has_log else NOBODY
        q.become(now_ms, Role.UNATTACHED, asked.replica_epoch, NOBODY, voted_id)
        return yes, has_log
    if q.voted_id == candidate:
        return yes, q.leader_id in (NOBODY, candidate)
    if q.voted_id != NOBODY or q.leader_id != NOBODY or not has_log:
        return ErrorCode.NONE, False
    assert q.role in (Role.UNATTACHED, Role.PROSPECTIVE), f"free to vote as {q.role}"
    q.become(now_ms, Role.UNATTACHED, q.epoch, NOBODY, candidate)
    return yes, True


def begin_quorum_epoch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    if _other_cluster(q, request.cluster_id):
        refusal = begin_messages.BeginQuorumEpochResponse(ErrorCode.INCONSISTENT_CLUSTER_ID)
        q.broker.outbox.respond(event, refusal)
        return
    said = _only_partition(request.topics)
    if said is None:
        q.broker.outbox.respond(
            event, begin_messages.BeginQuorumEpochResponse(ErrorCode.INVALID_REQUEST)
        )
        return
    error = ErrorCode.NONE
    if said.leader_id not in q.voters:
        error = ErrorCode.INCONSISTENT_VOTER_SET
    elif event.version >= 1 and request.voter_id not in (NOBODY, q.node_id):
        error = ErrorCode.INVALID_VOTER_KEY
    elif said.leader_epoch < q.epoch:
        error = ErrorCode.FENCED_LEADER_EPOCH
    else:
        try:
            q.heard_of(now_ms, said.leader_epoch, said.leader_id)
            if q.role is Role.UNATTACHED and q.leader_id == said.leader_id:
                q.become(now_ms, Role.FOLLOWER, q.epoch, q.leader_id, q.voted_id)
        except StorageFailed as e:
            q.broker.outbox.note(Level.ERROR, f"The new epoch cannot be written: {e}")
            q.broker.outbox.drop(event, "the epoch cannot be written")
            return
    answer = begin_messages.ResponsePartitionData(0, error, q.leader_id, q.epoch)
    topics = [begin_messages.ResponseTopicData(METADATA_TOPIC, [answer])]
    q.broker.outbox.respond(event, begin_messages.BeginQuorumEpochResponse(topics=topics))


def end_quorum_epoch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    if _other_cluster(q, request.cluster_id):
        q.broker.outbox.respond(
            event, end_messages.EndQuorumEpochResponse(ErrorCode.INCONSISTENT_CLUSTER_ID)
        )
        return
    said = _only_partition(request.topics)
    if said is None:
        q.broker.outbox.respond(
            event, end_messages.EndQuorumEpochResponse(ErrorCode.INVALID_REQUEST)
        )
        return
    error = ErrorCode.NONE
    if said.leader_id not in q.voters:
        error = ErrorCode.INCONSISTENT_VOTER_SET
    elif said.leader_epoch < q.epoch:
        error = ErrorCode.FENCED_LEADER_EPOCH
    else:
        try:
            q.heard_of(now_ms, said.leader_epoch, said.leader_id)
            if q.role in (Role.FOLLOWER, Role.UNATTACHED):
                named = [c.candidate_id for c in said.preferred_candidates] or list(
                    said.preferred_successors
                )
                q.hurry(now_ms, named.index(q.node_id) if q.node_id in named else len(named))
        except StorageFailed as e:
            q.broker.outbox.note(Level.ERROR, f"The new epoch cannot be written: {e}")
            q.broker.outbox.drop(event, "the epoch cannot be written")
            return
    answer = end_messages.ResponsePartitionData(0, error, q.leader_id, q.epoch)
    topics = [end_messages.ResponseTopicData(METADATA_TOPIC, [answer])]
    q.broker.outbox.respond(event, end_messages.EndQuorumEpochResponse(topics=topics))


def fetch(q: Quorum, now_ms: int, event: RequestReceived) -> None:
    """Fetch of the metadata log; only replicas of it, brokers of this cluster, may ask."""
    request = event.message
    if _other_cluster(q, request.cluster_id):
        q.broker.outbox.respond(event, FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
        return
    replica_id = request.replica_state.replica_id if event.version >= 15 else request.replica_id
    asked = request.topics[0].partitions[0]
    error = ErrorCode.NONE
    leading = q.leading
    if event.caller.broker_id < 0 or replica_id != event.caller.broker_id:
        error = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    elif asked.current_leader_epoch < q.epoch:
        error = ErrorCode.FENCED_LEADER_EPOCH
    elif asked.current_leader_epoch > q.epoch:
        error = ErrorCode.UNKNOWN_LEADER_EPOCH
    elif leading is None:
        error = ErrorCode.NOT_LEADER_OR_FOLLOWER
    elif q.broker.controller.knows_another(now_ms, replica_id, asked.replica_directory_id):
        error = ErrorCode.INVALID_VOTER_KEY
    else:
        leading.fetch(now_ms, event, replica_id, asked)
        return
    data = PartitionData(
        error_code=error,
        high_watermark=-1,
        current_leader=LeaderIdAndEpoch(q.leader_id, q.epoch),
        aborted_transactions=None,
    )
    topics = [
        FetchableTopicResponse(topic=METADATA_TOPIC, topic_id=METADATA_TOPIC_ID, partitions=[data])
    ]
    q.broker.outbox.respond(event, FetchResponse(responses=topics))


def _other_cluster(q: Quorum, cluster_id: str | None) -> bool:
    return cluster_id is not None and cluster_id != q.cluster_id


def _only_partition(topics: list[Any]) -> Any:
    """The one partition that a quorum message is about: None when it names another, more or
    none."""
    if len(topics) != 1 or topics[0].topic_name != METADATA_TOPIC or len(topics[0].partitions) != 1:
        return None
    partition = topics[0].partitions[0]
    return partition if partition.partition_index == 0 else None
