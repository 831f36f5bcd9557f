"""Responses to JoinGroup (11) and SyncGroup (14)."""

from __future__ import annotations

from embedded_broker.core.coordinator.group import Group, Member
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.outbox import Outbox
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from kafka_protocol.messages.k14_sync_group import SyncGroupResponse

NULL_PROTOCOL_SINCE = 7
"""Before this version of JoinGroup a missing protocol name is empty, not null."""


class MemberResponses:
    """Answers members through the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def refuse_join(
        self, event: RequestReceived, error_code: int, member_id: str | None = None
    ) -> None:
        """Answer a JoinGroup with an error; ``member_id`` None repeats the
        request's."""
        response = JoinGroupResponse(
            error_code=error_code,
            protocol_name=None if event.version >= NULL_PROTOCOL_SINCE else "",
        )
        response.member_id = event.message.member_id if member_id is None else member_id
        self._outbox.respond(event, response)

    def accept_join(
        self,
        now_ms: int,
        group: Group,
        member: Member,
        event: RequestReceived,
        *,
        leader: str | None = None,
        skip_assignment: bool = False,
    ) -> None:
        """Answer a JoinGroup with the current generation, and restart the member's
        session. The group's leader also gets the members, unless the response names
        another ``leader``."""
        member.deadline_ms = now_ms + member.session_timeout_ms
        leads = leader is None and group.leader == member.member_id
        response = JoinGroupResponse(
            generation_id=group.generation,
            protocol_type=group.protocol_type,
            protocol_name=group.protocol,
            leader=(group.leader or "") if leader is None else leader,
            skip_assignment=skip_assignment,
            member_id=member.member_id,
        )
        if leads:
            response.members = [
                JoinGroupResponseMember(
                    m.member_id, m.group_instance_id, m.metadata(group.protocol)
                )
                for m in group.members.values()
            ]
        self._outbox.respond(event, response)

    def sync(
        self, group: Group | None, event: RequestReceived, error_code: int, assignment: bytes = b""
    ) -> None:
        """Answer a SyncGroup with an assignment or an error."""
        response = SyncGroupResponse(error_code=error_code, assignment=assignment)
        if error_code == ErrorCode.NONE and group is not None:
            response.protocol_type = group.protocol_type
            response.protocol_name = group.protocol
        self._outbox.respond(event, response)
