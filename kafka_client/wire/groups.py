"""Consumer groups: ListGroups, FindCoordinator, DescribeGroups, ConsumerGroupDescribe,
ShareGroupDescribe, OffsetFetch.

DescribeGroups calls groups of the new protocols dead: the kind from ListGroups decides
which api describes a group. Many groups go into one OffsetFetch per coordinator;
brokers older than Kafka 3.0 are asked group by group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from kafka_client.error_map import clean, from_code
from kafka_client.errors import Unsupported
from kafka_client.model import Group, Member, TopicPartition
from kafka_client.wire.limits import GROUPS_MOST, check
from kafka_client.wire.pool import ConnectionPool, gather
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import CoordinatorType
from kafka_protocol.consumer_protocol import assigned_partitions
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages import k15_describe_groups as classic
from kafka_protocol.messages import k69_consumer_group_describe as consumer
from kafka_protocol.messages import k77_share_group_describe as share
from kafka_protocol.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
)
from kafka_protocol.messages.k10_find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kafka_protocol.messages.k16_list_groups import ListGroupsRequest, ListGroupsResponse

GROUPS_PER_REQUEST = 100
MANY_KEYS_SINCE = 4
"""The first version of FindCoordinator that takes many groups (KIP-699)."""
MANY_GROUPS_SINCE = 8
"""The first version of OffsetFetch that takes many groups (KIP-709)."""
NOT_HERE = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)
"""Codes of a broker that does not coordinate the group, not yet or not any more."""

Committed = dict[TopicPartition, tuple[int, str]]
Errors = dict[str, str]
Moved = dict[str, int]
"""Groups whose coordinator is another broker by now, with the error code."""
AskCoordinator = Callable[[int, list[str]], Awaitable[Moved]]


class GroupClient:
    """Keeps the coordinator and the kind of each group from the last responses."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._coordinators: dict[str, int] = {}
        self._kinds: dict[str, str] = {}

    async def list_groups(self) -> tuple[dict[str, Group], Errors]:
        """See ``api.ClusterReader``."""
        return await self._pool.once("list_groups", self._list_groups)

    async def describe_groups(self, group_ids: Sequence[str]) -> tuple[dict[str, Group], Errors]:
        """See ``api.ClusterReader``."""
        if any(group_id not in self._kinds for group_id in group_ids):
            await self.list_groups()
        groups: dict[str, Group] = {}
        errors: Errors = {}

        async def ask(coordinator: int, ids: list[str]) -> Moved:
            return await self._describe_at(coordinator, ids, groups, errors)

        await self._ask_coordinators(group_ids, ask, errors)
        return groups, errors

    async def committed(self, group_ids: Sequence[str]) -> tuple[dict[str, Committed], Errors]:
        """See ``api.ClusterReader``."""
        committed: dict[str, Committed] = {}
        errors: Errors = {}

        async def ask(coordinator: int, ids: list[str]) -> Moved:
            return await self._committed_at(coordinator, ids, committed, errors)

        await self._ask_coordinators(group_ids, ask, errors)
        return committed, errors

    async def _list_groups(self) -> tuple[dict[str, Group], Errors]:
        """Ask every broker: each lists the groups that it coordinates."""
        timeout_s = self._pool.timeouts.poll_s
        responses, failures = await gather(
            {
                broker_id: self._pool.request(broker_id, ListGroupsRequest(), timeout_s)
                for broker_id in self._pool.broker_ids
            }
        )
        errors = {f"broker {broker_id}": str(error) for broker_id, error in failures.items()}
        check(sum(len(r.groups) for r in responses.values()), GROUPS_MOST, "group")
        groups: dict[str, Group] = {}
        for broker_id, response in responses.items():
            if response.error_code not in (ErrorCode.NONE, *NOT_HERE):
                error = from_code(response.error_code, "list its groups")
                errors[f"groups of broker {broker_id}"] = str(error)
            for group in _listed(response, broker_id):
                groups[group.group_id] = group
                self._coordinators[group.group_id] = broker_id
        self._kinds = {group_id: group.kind for group_id, group in groups.items()}
        return dict(sorted(groups.items())), errors

    # ---- coordinators
    async def _ask_coordinators(
        self, group_ids: Sequence[str], ask: AskCoordinator, errors: Errors
    ) -> None:
        """Call ``ask(coordinator, groups)`` for all; look up the coordinators of groups
        that have moved, or whose coordinator did not answer, and ask once more."""
        left = list(dict.fromkeys(group_ids))
        for last in (False, True):
            await self._find_coordinators([g for g in left if g not in self._coordinators], errors)
            parts = self._parts(left)
            results, failures = await gather({key: ask(key[0], ids) for key, ids in parts.items()})
            moved: Moved = {}
            for result in results.values():
                moved.update(result)
            for key, error in failures.items():
                if last:
                    errors[f"broker {key[0]}"] = str(error)
                moved.update(dict.fromkeys(parts[key], ErrorCode.NONE))
            for group_id in moved:
                self._coordinators.pop(group_id, None)
            left = list(moved)
            if not left:
                return
        for group_id, code in moved.items():
            if code:
                error = from_code(code, f"ask for group {group_id}")
                errors[f"group {group_id}"] = str(error)

    def _parts(self, group_ids: Iterable[str]) -> dict[tuple[int, int], list[str]]:
        """(coordinator, number) -> at most GROUPS_PER_REQUEST of its groups."""
        by_broker: dict[int, list[str]] = {}
        for group_id in group_ids:
            if group_id in self._coordinators:
                by_broker.setdefault(self._coordinators[group_id], []).append(group_id)
        return {
            (broker_id, start): ids[start : start + GROUPS_PER_REQUEST]
            for broker_id, ids in by_broker.items()
            for start in range(0, len(ids), GROUPS_PER_REQUEST)
        }

    async def coordinator_of(self, group_id: str) -> int:
        """Return the broker id of the group's coordinator, from the last response that named it.

        Raises: ClientError, with a code in NOT_HERE where no broker knows it yet.
        """
        if group_id not in self._coordinators:
            result = (await self._look_up([group_id]))[group_id]
            if result.error_code:
                doing = f"find the coordinator of group {group_id}"
                raise from_code(result.error_code, doing, subject=group_id)
            self._pool.add_broker(result.node_id, result.host, result.port)
            self._coordinators[group_id] = result.node_id
        return self._coordinators[group_id]

    def forget_coordinator(self, group_id: str) -> None:
        """Look the coordinator up again at the next request."""
        self._coordinators.pop(group_id, None)

    async def _find_coordinators(self, group_ids: list[str], errors: Errors) -> None:
        if not group_ids:
            return
        for group_id, result in (await self._look_up(group_ids)).items():
            if result.error_code:
                error = from_code(result.error_code, f"find the coordinator of {group_id}")
                errors[f"group {group_id}"] = str(error)
            else:
                self._coordinators[group_id] = result.node_id

    async def _look_up(
        self, group_ids: list[str]
    ) -> dict[str, Coordinator | FindCoordinatorResponse]:
        found: dict[str, Coordinator | FindCoordinatorResponse] = {}
        response: FindCoordinatorResponse
        if await self._pool.version(ApiKey.FIND_COORDINATOR) >= MANY_KEYS_SINCE:
            request = FindCoordinatorRequest(
                key_type=CoordinatorType.GROUP, coordinator_keys=group_ids
            )
            response = await self._pool.request_any(request)
            found.update({c.key: c for c in response.coordinators})
        else:
            for group_id in group_ids:
                request = FindCoordinatorRequest(key=group_id, key_type=CoordinatorType.GROUP)
                found[group_id] = await self._pool.request_any(request)
        return found

    # ---- describing
    async def _describe_at(
        self, coordinator: int, ids: list[str], groups: dict[str, Group], errors: Errors
    ) -> Moved:
        moved: Moved = {}
        by_api: dict[str, list[str]] = {}
        for group_id in ids:
            by_api.setdefault(self._api(group_id), []).append(group_id)
        for api, chosen in by_api.items():
            request = _describe_request(api, chosen)
            timeout_s = self._pool.timeouts.poll_s
            try:
                response = await self._pool.request(coordinator, request, timeout_s)
            except Unsupported as problem:
                errors.update({f"group {group_id}": str(problem) for group_id in chosen})
                continue
            for described in response.groups:
                group_id, code = described.group_id, described.error_code
                if code in NOT_HERE:
                    moved[group_id] = code
                elif code:
                    error = from_code(code, f"describe group {group_id}")
                    errors[f"group {group_id}"] = str(error)
                else:
                    kind = self._kinds.get(group_id, api)
                    groups[group_id] = _group(described, kind, coordinator)
        return moved

    def _api(self, group_id: str) -> str:
        """Which of the three apis describes a group; other kinds are described as
        classic."""
        kind = self._kinds.get(group_id, "classic")
        return kind if kind in ("consumer", "share") else "classic"

    # ---- committed offsets
    async def _committed_at(
        self, coordinator: int, ids: list[str], committed: dict[str, Committed], errors: Errors
    ) -> Moved:
        moved: Moved = {}
        for group_id, result in (await self._fetch_offsets(coordinator, ids)).items():
            code = result.error_code
            if code in NOT_HERE:
                moved[group_id] = code
            elif code:
                error = from_code(code, f"read the offsets of group {group_id}")
                errors[f"group {group_id}"] = str(error)
            else:
                committed[group_id] = _committed(result)
        return moved

    async def _fetch_offsets(
        self, coordinator: int, ids: list[str]
    ) -> dict[str, OffsetFetchResponse | OffsetFetchResponseGroup]:
        response: OffsetFetchResponse
        if await self._pool.version(ApiKey.OFFSET_FETCH, coordinator) >= MANY_GROUPS_SINCE:
            groups = [OffsetFetchRequestGroup(group_id, topics=None) for group_id in ids]
            request = OffsetFetchRequest(groups=groups)
            timeout_s = self._pool.timeouts.poll_s
            response = await self._pool.request(coordinator, request, timeout_s)
            return {group.group_id: group for group in response.groups}
        found: dict[str, OffsetFetchResponse | OffsetFetchResponseGroup] = {}
        for group_id in ids:
            request = OffsetFetchRequest(group_id, topics=None)
            found[group_id] = await self._pool.request(coordinator, request)
        return found


def _describe_request(
    api: str, group_ids: list[str]
) -> (
    classic.DescribeGroupsRequest
    | consumer.ConsumerGroupDescribeRequest
    | share.ShareGroupDescribeRequest
):
    match api:
        case "consumer":
            return consumer.ConsumerGroupDescribeRequest(group_ids)
        case "share":
            return share.ShareGroupDescribeRequest(group_ids)
    return classic.DescribeGroupsRequest(group_ids)


def _listed(response: ListGroupsResponse, broker_id: int) -> list[Group]:
    return [
        Group(g.group_id, g.group_state, (g.group_type or "classic").lower(), coordinator=broker_id)
        for g in response.groups
    ]


def _committed(result: OffsetFetchResponse | OffsetFetchResponseGroup) -> Committed:
    return {
        (topic.name, p.partition_index): (p.committed_offset, clean(p.metadata or "", 200))
        for topic in result.topics
        for p in topic.partitions
        if not p.error_code and p.committed_offset >= 0
    }


def _group(
    described: classic.DescribedGroup | consumer.DescribedGroup | share.DescribedGroup,
    kind: str,
    coordinator: int,
) -> Group:
    match described:
        case classic.DescribedGroup():
            protocol = described.protocol_data
            # Other protocols, such as Kafka Connect's, put bytes of their own into
            # assignments.
            consumes = described.protocol_type in ("consumer", "")
            members = [_classic_member(m, consumes) for m in described.members]
        case _:
            protocol = described.assignor_name
            members = [_member(m) for m in described.members]
    return Group(
        described.group_id,
        described.group_state,
        kind,
        protocol,
        coordinator,
        tuple(members),
    )


def _classic_member(m: classic.DescribedGroupMember, consumes: bool) -> Member:
    return Member(
        m.member_id,
        clean(m.client_id, 255),
        clean(m.client_host, 255),
        m.group_instance_id,
        tuple(assigned_partitions(m.member_assignment) or ()) if consumes else (),
    )


def _member(m: consumer.Member | share.Member) -> Member:
    assigned = [(t.topic_name, p) for t in m.assignment.topic_partitions for p in t.partitions]
    return Member(
        m.member_id,
        clean(m.client_id, 255),
        clean(m.client_host, 255),
        m.instance_id if isinstance(m, consumer.Member) else None,
        tuple(sorted(assigned)),
    )
