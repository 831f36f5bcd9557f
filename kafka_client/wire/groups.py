"""Questions about groups: ListGroups, FindCoordinator, DescribeGroups, ConsumerGroupDescribe,
ShareGroupDescribe, OffsetFetch.

Groups of the new protocol look dead to DescribeGroups: the kind from ListGroups decides who is
asked how. Many groups go into one OffsetFetch per coordinator; brokers older than Kafka 3.0 are
asked group by group.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kafka_client.error_map import clean, from_code
from kafka_client.errors import ClientError, Unsupported
from kafka_client.model import Group, Member, TopicPartition
from kafka_client.wire.looking import code_of_top
from kafka_client.wire.messages import code_of
from kafka_client.wire.pool import LOOK_TIMEOUT_S, Wire

OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS, LIST_GROUPS = 9, 10, 15, 16
CONSUMER_GROUP_DESCRIBE, SHARE_GROUP_DESCRIBE = 69, 77
AT_ONCE = 100
MOVED = {14, 15, 16}

Offsets = dict[str, dict[TopicPartition, tuple[int, str]]]
Errors = dict[str, str]


class Groups:
    """Remembers who coordinates which group, and of which kind it is."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._coordinators: dict[str, int] = {}
        self._kinds: dict[str, str] = {}

    async def list_groups(self) -> tuple[dict[str, Group], Errors]:
        return await self._wire.once("list_groups", self._list)

    async def _list(self) -> tuple[dict[str, Group], Errors]:
        ids = self._wire.broker_ids
        answers = await asyncio.gather(
            *(self._wire.ask(b, LIST_GROUPS, {}, LOOK_TIMEOUT_S) for b in ids),
            return_exceptions=True,
        )
        found: dict[str, Group] = {}
        errors: Errors = {}
        for broker_id, answer in zip(ids, answers, strict=True):
            if isinstance(answer, ClientError):
                errors[f"broker {broker_id}"] = str(answer)
                continue
            if isinstance(answer, BaseException):
                raise answer
            code = code_of_top(answer)
            if code:
                if code not in MOVED:
                    errors[f"groups of broker {broker_id}"] = str(
                        from_code(code, "list its groups")
                    )
                continue
            for g in answer.groups:
                kind = str(getattr(g, "group_type", "") or "classic").lower()
                state = str(getattr(g, "group_state", "") or "")
                found[str(g.group_id)] = Group(str(g.group_id), state, kind, coordinator=broker_id)
                self._coordinators[str(g.group_id)] = broker_id
        self._kinds = {group_id: group.kind for group_id, group in found.items()}
        return dict(sorted(found.items())), errors

    async def describe_groups(self, group_ids: Sequence[str]) -> tuple[dict[str, Group], Errors]:
        if any(g not in self._kinds for g in group_ids):
            await self.list_groups()
        found: dict[str, Group] = {}

        async def ask(coordinator: int, ids: list[str]) -> dict[str, int]:
            return await self._describe_at(coordinator, ids, found, errors)

        errors: Errors = {}
        await self._at_coordinators(group_ids, ask, errors)
        return found, errors

    async def committed(self, group_ids: Sequence[str]) -> tuple[Offsets, Errors]:
        found: Offsets = {}
        errors: Errors = {}

        async def ask(coordinator: int, ids: list[str]) -> dict[str, int]:
            return await self._committed_at(coordinator, ids, found, errors)

        await self._at_coordinators(group_ids, ask, errors)
        return found, errors

    # ---- coordinators
    async def _at_coordinators(
        self,
        group_ids: Sequence[str],
        ask: Callable[[int, list[str]], Awaitable[dict[str, int]]],
        errors: Errors,
    ) -> None:
        """Ask every coordinator for its groups; those that have moved are looked up and asked
        once more."""
        left = list(dict.fromkeys(group_ids))
        for last in (False, True):
            await self._find([g for g in left if g not in self._coordinators], errors)
            by_broker: dict[int, list[str]] = {}
            for group_id in left:
                if group_id in self._coordinators:
                    by_broker.setdefault(self._coordinators[group_id], []).append(group_id)
            parts = [
                (broker_id, ids[i : i + AT_ONCE])
                for broker_id, ids in by_broker.items()
                for i in range(0, len(ids), AT_ONCE)
            ]
            answers = await asyncio.gather(
                *(ask(b, ids) for b, ids in parts), return_exceptions=True
            )
            moved: dict[str, int] = {}
            for (broker_id, ids), answer in zip(parts, answers, strict=True):
                if isinstance(answer, ClientError):
                    if last:
                        errors[f"broker {broker_id}"] = str(answer)
                    moved.update(dict.fromkeys(ids, 0))
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    moved.update(answer)
            for group_id in moved:
                self._coordinators.pop(group_id, None)
            if last:
                for group_id, code in moved.items():
                    if code:
                        errors[f"group {group_id}"] = str(
                            from_code(code, f"ask for group {group_id}")
                        )
            left = list(moved)
            if not left:
                return

    async def _find(self, group_ids: list[str], errors: Errors) -> None:
        if not group_ids:
            return
        if await self._wire.version(None, FIND_COORDINATOR) >= 4:
            answer = await self._wire.ask_any(
                FIND_COORDINATOR, {"key_type": 0, "coordinator_keys": group_ids}
            )
            results = [(str(c.key), c) for c in answer.coordinators]
        else:
            answers = [
                await self._wire.ask_any(FIND_COORDINATOR, {"key_type": 0, "key": g})
                for g in group_ids
            ]
            results = list(zip(group_ids, answers, strict=True))
        for group_id, result in results:
            if code_of(result):
                errors[f"group {group_id}"] = str(
                    from_code(code_of(result), f"find the coordinator of {group_id}")
                )
            else:
                self._coordinators[group_id] = int(result.node_id)

    # ---- describing
    async def _describe_at(
        self, coordinator: int, ids: list[str], found: dict[str, Group], errors: Errors
    ) -> dict[str, int]:
        moved: dict[str, int] = {}
        for kind, api_key in (
            ("consumer", CONSUMER_GROUP_DESCRIBE),
            ("share", SHARE_GROUP_DESCRIBE),
            ("classic", DESCRIBE_GROUPS),
        ):
            chosen = [g for g in ids if self._family(g) == kind]
            if not chosen:
                continue
            values = {"groups": chosen} if kind == "classic" else {"group_ids": chosen}
            try:
                answer = await self._wire.ask(coordinator, api_key, values, LOOK_TIMEOUT_S)
            except Unsupported as error:
                errors.update({f"group {g}": str(error) for g in chosen})
                continue
            for g in answer.groups:
                code = code_of(g)
                if code in MOVED:
                    moved[str(g.group_id)] = code
                elif code:
                    errors[f"group {g.group_id}"] = str(
                        from_code(code, f"describe group {g.group_id}")
                    )
                else:
                    make = _classic if kind == "classic" else _modern
                    found[str(g.group_id)] = make(
                        g, self._kinds.get(str(g.group_id), kind), coordinator
                    )
        return moved

    def _family(self, group_id: str) -> str:
        kind = self._kinds.get(group_id, "classic")
        return kind if kind in ("consumer", "share") else "classic"

    # ---- committed offsets
    async def _committed_at(
        self, coordinator: int, ids: list[str], found: Offsets, errors: Errors
    ) -> dict[str, int]:
        if await self._wire.version(coordinator, OFFSET_FETCH) >= 8:
            values = {
                "groups": [{"group_id": g, "topics": None} for g in ids],
                "require_stable": False,
            }
            answer = await self._wire.ask(coordinator, OFFSET_FETCH, values, LOOK_TIMEOUT_S)
            results = [(str(g.group_id), g) for g in answer.groups]
        else:
            answers = [
                await self._wire.ask(
                    coordinator,
                    OFFSET_FETCH,
                    {"group_id": g, "topics": None, "require_stable": False},
                )
                for g in ids
            ]
            results = list(zip(ids, answers, strict=True))
        moved: dict[str, int] = {}
        for group_id, result in results:
            code = code_of_top(result)
            if code in MOVED:
                moved[group_id] = code
            elif code:
                errors[f"group {group_id}"] = str(
                    from_code(code, f"read the offsets of group {group_id}")
                )
            else:
                found[group_id] = {
                    (str(t.name), int(p.partition_index)): (
                        int(p.committed_offset),
                        clean(p.metadata or "", 200),
                    )
                    for t in result.topics
                    for p in t.partitions
                    if code_of(p) == 0 and int(p.committed_offset) >= 0
                }
        return moved


def _classic(answer: Any, kind: str, coordinator: int) -> Group:
    members = tuple(
        Member(
            str(m.member_id),
            clean(m.client_id, 255),
            clean(m.client_host, 255),
            getattr(m, "group_instance_id", None),
            read_assignment(bytes(m.member_assignment))
            if answer.protocol_type in ("consumer", "")
            else (),
        )
        for m in answer.members
    )
    return Group(
        str(answer.group_id),
        str(answer.group_state),
        kind,
        str(answer.protocol_data),
        coordinator,
        members,
    )


def _modern(answer: Any, kind: str, coordinator: int) -> Group:
    members = tuple(
        Member(
            str(m.member_id),
            clean(m.client_id, 255),
            clean(m.client_host, 255),
            getattr(m, "instance_id", None),
            tuple(
                sorted(
                    (str(t.topic_name), int(p))
                    for t in m.assignment.topic_partitions
                    for p in t.partitions
                )
            ),
        )
        for m in answer.members
    )
    return Group(
        str(answer.group_id),
        str(answer.group_state),
        kind,
        str(answer.assignor_name),
        coordinator,
        members,
    )


def read_assignment(data: bytes) -> tuple[TopicPartition, ...]:
    """The partitions in a classic member's assignment (version, topics with partition numbers,
    user data). Members write these bytes themselves: what does not parse is no assignment."""
    try:
        if len(data) < 6:
            return ()
        found: list[TopicPartition] = []
        (topics,) = struct.unpack_from(">i", data, 2)
        at = 6
        for _ in range(min(topics, len(data))):
            (size,) = struct.unpack_from(">h", data, at)
            name = data[at + 2 : at + 2 + size].decode()
            at += 2 + size
            (count,) = struct.unpack_from(">i", data, at)
            if size < 0 or not 0 <= count <= (len(data) - at) // 4:
                return ()
            found += [(name, p) for p in struct.unpack_from(f">{count}i", data, at + 4)]
            at += 4 + 4 * count
        return tuple(sorted(found))
    except (struct.error, UnicodeDecodeError):
        return ()
