"""BrokerRegistration (62) and BrokerHeartbeat (63): brokers join the cluster, are
unfenced, and leave.

A broker's epoch is the metadata offset of its registration. Each incarnation gets a
higher one, and a message with an older epoch is refused (STALE_BROKER_EPOCH). A
registration replaces the previous incarnation at once when it is a later process on the
same log directory, which two processes cannot use at the same time, and the connection of
the previous one is closed: a copy of the directory can be in use beside it. Else it waits
until the previous incarnation's session has expired. The processes on a directory are
numbered, because a registration of an earlier one may arrive late.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.incarnation import incarnation_number
from embedded_broker.core.controller.partitions import fence, with_broker, without_broker
from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import BrokerImage
from embedded_broker.core.metadata.records import (
    BrokerEndpoint,
    BrokerFeature,
    BrokerRegistrationChangeRecord,
    MetadataRecord,
    RegisterBrokerRecord,
)
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k62_broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)
from kafka_protocol.messages.k63_broker_heartbeat import (
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
)


# ---- BrokerRegistration (62)
def register(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Register an incarnation of a broker, fenced until it has caught up."""
    request: BrokerRegistrationRequest = event.message
    if not controller.is_active:
        controller.refuse(event)
        return
    if request.cluster_id != controller.env.settings.cluster_id:
        controller.refuse(event, ErrorCode.INCONSISTENT_CLUSTER_ID)
        return
    if event.caller.broker_id != request.broker_id:
        controller.refuse(event, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        return
    if not request.listeners or request.broker_id < 0:
        controller.refuse(event, ErrorCode.INVALID_REGISTRATION)
        return
    known = controller.image.brokers.get(request.broker_id)
    if known is not None and known.incarnation_id == request.incarnation_id:
        # A retry: the first response was lost, or is still on its way.
        controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
        controller.reply(
            now_ms, event, [], BrokerRegistrationResponse(broker_epoch=known.broker_epoch)
        )
        return
    if known is not None and not _may_replace(controller, now_ms, known, request):
        controller.refuse(event, ErrorCode.DUPLICATE_BROKER_REGISTRATION)
        return
    broker_epoch = controller.next_offset
    records: list[MetadataRecord] = [_registration(request, broker_epoch)]
    if known is not None:
        # The new incarnation starts fenced. On another disk, or after a crash that the
        # disk cannot have survived whole, it may also lack records that the previous
        # one had; so may one that has counted fewer processes than were registered: the file
        # with the count was lost, or the directory is an older backup.
        lost_data = (
            not _same_disk(known, request)
            or request.previous_broker_epoch < 0
            or _processes_later(known, request) <= 0
        )
        records += without_broker(controller.view, request.broker_id, lost_data)
    controller.sessions.remove(request.broker_id)
    controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
    controller.reply(now_ms, event, records, BrokerRegistrationResponse(broker_epoch=broker_epoch))


def _same_disk(known: BrokerImage, request: BrokerRegistrationRequest) -> bool:
    return set(known.directory_ids) == set(request.log_dirs)


def _processes_later(known: BrokerImage, request: BrokerRegistrationRequest) -> int:
    """Return how many processes have run on the disk since the registered one began; zero or less
    is what a delayed registration says, and a directory that has lost its count."""
    return incarnation_number(request.incarnation_id) - incarnation_number(known.incarnation_id)


def _may_replace(
    controller: Controller, now_ms: int, known: BrokerImage, request: BrokerRegistrationRequest
) -> bool:
    """Return whether the incarnation in ``request`` may replace the registered one."""
    # One directory has one process at a time, so an earlier one has ended, though its session
    # has not. But a copy of the directory may say the same while the original still sends
    # heartbeats; it has to wait.
    if (
        _same_disk(known, request)
        and _processes_later(known, request) > 0
        and not controller.sessions.is_connected(known.broker_id)
    ):
        return True
    if not controller.sessions.is_live(now_ms, known.broker_id):
        return True
    controller.env.note(
        Level.WARNING,
        f"Refused a second broker {known.broker_id} (log directory {_names(request.log_dirs)}):"
        f" broker {known.broker_id} with log directory {_names(known.directory_ids)} is alive.",
    )
    return False


def _registration(request: BrokerRegistrationRequest, broker_epoch: int) -> RegisterBrokerRecord:
    return RegisterBrokerRecord(
        broker_id=request.broker_id,
        incarnation_id=request.incarnation_id,
        broker_epoch=broker_epoch,
        end_points=[
            BrokerEndpoint(e.name, e.host, e.port, e.security_protocol) for e in request.listeners
        ],
        features=[
            BrokerFeature(f.name, f.min_supported_version, f.max_supported_version)
            for f in request.features
        ],
        rack=request.rack,
        log_dirs=list(request.log_dirs),
    )


def _names(directory_ids: Iterable[UUID]) -> str:
    return ", ".join(str(d) for d in directory_ids) or "unknown"


# ---- BrokerHeartbeat (63)
def heartbeat(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    """Keep a broker's session alive; unfence it once it has caught up; let it shut
    down."""
    request: BrokerHeartbeatRequest = event.message
    if not controller.is_active or not controller.sessions.confirms(now_ms):
        controller.refuse(event)
        return
    known = controller.image.brokers.get(request.broker_id)
    if event.caller.broker_id != request.broker_id:
        controller.refuse(event, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    elif known is None:
        controller.refuse(event, ErrorCode.BROKER_ID_NOT_REGISTERED)
    elif known.broker_epoch != request.broker_epoch:
        controller.refuse(event, ErrorCode.STALE_BROKER_EPOCH)
    elif request.want_shut_down:
        _shut_down(controller, now_ms, event, known)
    else:
        controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
        # A broker serves clients only after it has applied its own registration.
        caught_up = request.current_metadata_offset >= known.broker_epoch
        records: list[MetadataRecord] = []
        if known.fenced and caught_up and not request.want_fence:
            records = _unfence(controller, known)
        elif not known.fenced and request.want_fence:
            reason = "its log directory failed" if request.offline_log_dirs else "as it asked"
            controller.env.note(Level.WARNING, f"Fencing broker {known.broker_id}: {reason}.")
            records = fence(controller.view, known.broker_id)
        fenced = request.want_fence or (known.fenced and not records)
        controller.reply(
            now_ms,
            event,
            records,
            BrokerHeartbeatResponse(is_caught_up=caught_up, is_fenced=fenced),
        )


def _unfence(controller: Controller, known: BrokerImage) -> list[MetadataRecord]:
    """The records that let a broker serve, and elect it where a partition has no
    leader."""
    controller.env.note(
        Level.INFO, f"Unfencing broker {known.broker_id} (epoch {known.broker_epoch})."
    )
    change = BrokerRegistrationChangeRecord(known.broker_id, known.broker_epoch, fenced=-1)
    return [change, *with_broker(controller.view, known.broker_id)]


def _shut_down(
    controller: Controller, now_ms: int, event: RequestReceived, known: BrokerImage
) -> None:
    """Controlled shutdown (KIP-841): move the leaderships, wait until the other brokers
    have applied that, fence the broker, and let it end.

    The controller's own broker goes after all others that are shutting down: they need
    it to commit.
    """
    broker_id = known.broker_id
    image = controller.image
    sessions = controller.sessions
    others = [b for b in sorted(image.brokers) if b != broker_id and image.alive(b)]
    go = BrokerHeartbeatResponse(is_caught_up=True, is_fenced=True, should_shut_down=True)
    wait = BrokerHeartbeatResponse(
        is_caught_up=True, is_fenced=known.fenced, should_shut_down=False
    )
    # A fenced broker leads nothing.
    if known.fenced:
        controller.reply(now_ms, event, [], go)
        return
    sessions.touch(now_ms, broker_id, event.caller.connection_id)
    # No broker is left to take the leaderships.
    if not others:
        controller.reply(now_ms, event, [], go)
        return
    if not known.in_controlled_shutdown:
        change = BrokerRegistrationChangeRecord(
            broker_id, known.broker_epoch, in_controlled_shutdown=1
        )
        records: list[MetadataRecord] = [change, *without_broker(controller.view, broker_id)]
        sessions.leaving[broker_id] = controller.next_offset + len(records)
        controller.env.note(
            Level.INFO, f"Broker {broker_id} is shutting down; moving its leaderships."
        )
        controller.reply(now_ms, event, records, wait)
        return
    # Clients that learn of the new leaders from any broker must find them ready.
    moved_at = sessions.leaving.get(broker_id, 0)
    staying = [b for b in others if image.eligible(b)]
    all_applied = all(_has_applied(controller, b, moved_at) for b in staying)
    is_controller = broker_id == controller.env.node_id
    needed = is_controller and any(not image.eligible(b) for b in others)
    if needed or not all_applied:
        controller.reply(now_ms, event, [], wait)
        return
    records = fence(controller.view, broker_id)
    sessions.remove(broker_id)
    controller.reply(now_ms, event, records, go)


def _has_applied(controller: Controller, broker_id: int, offset: int) -> bool:
    """Return whether a broker has applied the metadata up to this offset; a broker
    whose progress is unknown is not waited for."""
    applied = controller.quorum.applied_by(broker_id)
    return applied is None or applied >= offset
