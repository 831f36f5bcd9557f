"""Changes of consumer groups: OffsetCommit of an administrator, DeleteGroups.

Both go to the group's coordinator, which may die or be frozen meanwhile. librdkafka's admin
requests for groups then end the whole process (2.16: an assertion on a reference count, or a
segmentation fault), so they are sent from here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka_client.backoff import wait_s
from kafka_client.error_map import from_code
from kafka_client.errors import ClientError, Rejected, TimedOut, Unreachable
from kafka_client.model import TopicPartition
from kafka_client.wire.groups import NOT_HERE, GroupClient
from kafka_client.wire.pool import ConnectionPool
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message
from kafka_protocol.messages.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kafka_protocol.messages.k42_delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

CHANGE_TIMEOUT_S = 15.0
"""How long a coordinator is looked for that carries a change out."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 1.0


class GroupChanges:
    """The half of ``api.ClusterWriter`` that is about groups."""

    def __init__(self, pool: ConnectionPool, groups: GroupClient) -> None:
        self._pool = pool
        self._groups = groups
        self._rng = random.Random()

    async def alter_committed(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """See ``api.ClusterWriter``. Raises: ClientError for the first partition that is refused;
        those before and after it may have been set."""
        topics: dict[str, list[OffsetCommitRequestPartition]] = {}
        for (topic, partition), offset in offsets.items():
            topics.setdefault(topic, []).append(OffsetCommitRequestPartition(partition, offset))
        request = OffsetCommitRequest(
            group_id,
            # No generation and no member: accepted only while the group has no members.
            generation_id_or_member_epoch=-1,
            topics=[OffsetCommitRequestTopic(name, partitions=p) for name, p in topics.items()],
        )
        doing = f"set offsets of group {group_id}"
        response = await self._at_coordinator(group_id, request, doing, _commit_code)
        for topic in response.topics:
            for p in topic.partitions:
                if p.error_code:
                    subject = f"{topic.name}-{p.partition_index}"
                    raise from_code(p.error_code, doing, subject=subject)

    async def delete_groups(self, group_ids: Sequence[str]) -> None:
        """See ``api.ClusterWriter``. Raises: ClientError for the first group that is refused; the
        others have been tried too."""
        outcomes = await asyncio.gather(
            *(self._delete(group_id) for group_id in group_ids), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _delete(self, group_id: str) -> None:
        doing = f"delete group {group_id}"
        request = DeleteGroupsRequest([group_id])
        response = await self._at_coordinator(group_id, request, doing, _delete_code)
        code = _delete_code(response)
        if code:
            raise from_code(code, doing, subject=group_id)

    async def _at_coordinator(
        self, group_id: str, request: Message, doing: str, code_of: Callable[[Any], int]
    ) -> Any:
        """Send a request to the group's coordinator, wherever that moves, until one answers.

        Repeating does no harm: offsets are set to the same values, and a group that is gone after
        an earlier try without an answer has been deleted by it.

        Raises: ClientError, the last one, after CHANGE_TIMEOUT_S.
        """
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        failures = 0
        unanswered = False
        while True:
            problem: ClientError
            left_s = max(FIRST_WAIT_S, deadline - time.monotonic())
            sent = False
            try:
                coordinator = await self._groups.coordinator_of(group_id)
                sent = True
                timeout_s = min(left_s, self._pool.timeouts.request_s)
                response = await self._pool.request(coordinator, request, timeout_s)
                code = code_of(response)
                if code == ErrorCode.GROUP_ID_NOT_FOUND and unanswered:
                    return DeleteGroupsResponse()
                if code not in NOT_HERE:
                    return response
                problem = from_code(code, doing, subject=group_id)
            except (Unreachable, TimedOut) as error:
                unanswered = unanswered or sent
                problem = error
            except Rejected as error:  # no broker knows the coordinator
                if error.code not in NOT_HERE:
                    raise
                problem = error
            self._groups.forget_coordinator(group_id)
            pause_s = wait_s(failures, FIRST_WAIT_S, LONGEST_WAIT_S, self._rng)
            failures += 1
            if time.monotonic() + pause_s >= deadline:
                raise problem
            await asyncio.sleep(pause_s)


def _commit_code(response: OffsetCommitResponse) -> int:
    """The code of the first partition: a broker that is not the coordinator gives all the same."""
    codes = [p.error_code for topic in response.topics for p in topic.partitions]
    return codes[0] if codes else ErrorCode.NONE


def _delete_code(response: DeleteGroupsResponse) -> int:
    return response.results[0].error_code if response.results else ErrorCode.NONE
