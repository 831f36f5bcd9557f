"""An election, or the pre-vote before it: ask every other voter until a majority agrees
or refuses."""

from __future__ import annotations

from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.topics import METADATA_TOPIC
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.quorum.voter import Voter
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k52_vote import PartitionData, TopicData, VoteRequest, VoteResponse

VOTE_VERSION = 2
RETRY_MS = 50
CONDITIONAL_VOTE = ErrorCode.INELIGIBLE_REPLICA
"""The error code beside a granted vote that counts only when all voters grant theirs
(see ``quorum``)."""


class Campaign:
    """One round of votes in one epoch. An unreachable voter is asked again until the
    round ends."""

    def __init__(self, voter: Voter, pre_vote: bool) -> None:
        self._voter = voter
        self._outbox = voter.env.outbox
        self._pre_vote = pre_vote
        self._granted: set[int] = set()
        """Voters whose vote counts in any case."""
        self._conditional: set[int] = set()
        """Voters whose vote counts only together with all others."""
        self._refused: set[int] = set()
        own_side = self._conditional if voter.votes_conditionally else self._granted
        own_side.add(voter.node_id)
        self._sends: dict[int, int] = {}
        """Voter -> id of the newest request to it."""
        self._open = True

    def start(self, now_ms: int) -> None:
        """Ask all other voters; give up after one to two election timeouts."""
        v = self._voter
        v.set_role_timer(
            now_ms,
            # Random, so that two candidates that split the vote do not try again at the
            # same time.
            v.election_timeout_ms + v.env.rng.below(v.election_timeout_ms + 1),
            v.lost,
        )
        if self._is_won():
            v.won(now_ms)
            return
        for voter in v.voters:
            if voter != v.node_id:
                self._ask(now_ms, voter)

    def close(self, now_ms: int) -> None:
        """Ignore the responses that are still to come."""
        self._open = False
        for voter, send_id in self._sends.items():
            self._outbox.forget(send_id)
            self._outbox.cancel(f"quorum.vote.{voter}")

    def _ask(self, now_ms: int, voter: int) -> None:
        if not self._open:
            return
        v = self._voter
        partition = PartitionData(
            replica_epoch=v.epoch,
            replica_id=v.node_id,
            last_offset_epoch=v.log.last_epoch,
            last_offset=v.log.end_offset,
            pre_vote=self._pre_vote,
        )
        request = VoteRequest(v.cluster_id, voter, [TopicData(METADATA_TOPIC, [partition])])

        def done(now: int, response: VoteResponse | None, reason: str) -> None:
            if response is None:
                self._outbox.timer(
                    f"quorum.vote.{voter}", now + RETRY_MS, lambda later: self._ask(later, voter)
                )
            else:
                self._on_response(now, voter, response)

        timeout_ms = min(v.request_timeout_ms, v.election_timeout_ms)
        self._sends[voter] = self._outbox.send(
            voter, "quorum", request, VOTE_VERSION, timeout_ms, done
        )

    def _on_response(self, now_ms: int, voter: int, response: VoteResponse) -> None:
        v = self._voter
        if response.error_code == ErrorCode.INCONSISTENT_CLUSTER_ID:
            self._outbox.note(
                Level.WARNING, f"Broker {voter} does not belong to this cluster ({v.cluster_id})."
            )
            self._count(now_ms, self._refused, voter)
            return
        if not response.topics or not response.topics[0].partitions:
            self._count(now_ms, self._refused, voter)
            return
        vote = response.topics[0].partitions[0]
        try:
            # A higher epoch, or a leader of this one, ends the campaign.
            if v.learn_epoch(now_ms, vote.leader_epoch, vote.leader_id):
                return
        except StorageFailed as e:
            v.storage_failed(now_ms, e)
            return
        side = self._refused
        if vote.vote_granted:
            grants: dict[int, set[int]] = {
                ErrorCode.NONE: self._granted,
                CONDITIONAL_VOTE: self._conditional,
            }
            side = grants.get(vote.error_code, side)
        self._count(now_ms, side, voter)

    def _is_won(self) -> bool:
        v = self._voter
        # Either a majority of unconditional votes, or every voter agrees in some way.
        return len(self._granted) >= v.majority or len(self._granted | self._conditional) == len(
            v.voters
        )

    def _count(self, now_ms: int, side: set[int], voter: int) -> None:
        v = self._voter
        side.add(voter)
        if self._is_won():
            v.won(now_ms)
        elif len(self._refused) > len(v.voters) - v.majority:
            # So many refused that the rest is no majority.
            v.lost(now_ms)
