"""BrokerRegistration and BrokerHeartbeat: who is in the cluster, serving, leaving.

A broker's epoch is the metadata offset of its registration: every new life has a higher one, and
a message that names an older is refused (STALE_BROKER_EPOCH). A registration ends the former life
at once when it is a later life on the same log directory, which two processes cannot hold; from
another directory only when the former life's session has lapsed. The lives on a directory are
counted, for the registration of an earlier one may arrive late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_broker.core.controller.lifecycle import life_of
from embedded_broker.core.controller.partitions import with_broker, without_broker
from embedded_broker.core.controller.sessions import fence
from embedded_broker.core.effects import Level
from embedded_broker.core.metadata.image import BrokerImage
from embedded_broker.core.metadata.records import (
    BrokerEndpoint,
    BrokerFeature,
    BrokerRegistrationChangeRecord,
    RegisterBrokerRecord,
)
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k62_broker_registration import BrokerRegistrationResponse
from kafka_protocol.messages.k63_broker_heartbeat import BrokerHeartbeatResponse

if TYPE_CHECKING:
    from embedded_broker.core.controller.controller import Controller
    from embedded_broker.core.events import RequestReceived


def register(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    broker = controller.broker
    if not controller.is_active:
        controller.refuse(event)
        return
    if request.cluster_id != broker.settings.cluster_id:
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
        # Asked again: the answer to the first was lost, or is still on its way.
        controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
        controller.reply(
            now_ms, event, [], BrokerRegistrationResponse(broker_epoch=known.broker_epoch)
        )
        return
    same_disk = known is not None and set(known.directory_ids) == set(request.log_dirs)
    later = known is not None and life_of(request.incarnation_id) - life_of(known.incarnation_id)
    if known is not None and same_disk and later < 0:
        controller.refuse(event, ErrorCode.DUPLICATE_BROKER_REGISTRATION)
        return
    takes_over = same_disk and later > 0
    if (
        known is not None
        and not takes_over
        and controller.sessions.is_live(now_ms, request.broker_id)
    ):
        broker.outbox.note(
            Level.WARNING,
            f"A second broker {request.broker_id} (log directory {_names(request.log_dirs)}) was refused: broker "
            f"{request.broker_id} with log directory {_names(known.directory_ids)} is alive.",
        )
        controller.refuse(event, ErrorCode.DUPLICATE_BROKER_REGISTRATION)
        return
    broker_epoch = controller.next_offset
    records: list[Any] = [_registration(request, broker_epoch)]
    if known is not None:
        lost_data = not same_disk or request.previous_broker_epoch < 0
        records += without_broker(controller, request.broker_id, lost_data)
    controller.sessions.forget(request.broker_id)
    controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
    controller.reply(now_ms, event, records, BrokerRegistrationResponse(broker_epoch=broker_epoch))


def _registration(request: Any, broker_epoch: int) -> RegisterBrokerRecord:
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


def _names(directory_ids: Any) -> str:
    return ", ".join(str(d) for d in directory_ids) or "unknown"


def heartbeat(controller: Controller, now_ms: int, event: RequestReceived) -> None:
    request = event.message
    if not controller.is_active:
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
        _let_go(controller, now_ms, event, known)
    else:
        controller.sessions.touch(now_ms, request.broker_id, event.caller.connection_id)
        caught_up = request.current_metadata_offset >= known.broker_epoch
        records: list[Any] = []
        if known.fenced and caught_up and not request.want_fence:
            records = unfence(controller, known)
        elif not known.fenced and request.want_fence:
            records = fence(controller, known.broker_id)
        fenced = request.want_fence or (known.fenced and not records)
        controller.reply(
            now_ms,
            event,
            records,
            BrokerHeartbeatResponse(is_caught_up=caught_up, is_fenced=fenced),
        )


def unfence(controller: Controller, known: BrokerImage) -> list[Any]:
    controller.broker.outbox.note(
        Level.INFO, f"Broker {known.broker_id} serves (epoch {known.broker_epoch})."
    )
    change = BrokerRegistrationChangeRecord(known.broker_id, known.broker_epoch, fenced=-1)
    return [change, *with_broker(controller, known.broker_id)]


def _let_go(
    controller: Controller, now_ms: int, event: RequestReceived, known: BrokerImage
) -> None:
    """Controlled shutdown: take the leaderships, wait until the others know, fence, and say go.

    The controller's own broker goes after all others that are leaving: they need it to commit.
    """
    broker_id = known.broker_id
    image = controller.image
    sessions = controller.sessions
    others = [b for b in sorted(image.brokers) if b != broker_id and image.alive(b)]
    go = BrokerHeartbeatResponse(is_caught_up=True, is_fenced=True, should_shut_down=True)
    wait = BrokerHeartbeatResponse(
        is_caught_up=True, is_fenced=known.fenced, should_shut_down=False
    )
    if known.fenced:
        controller.reply(now_ms, event, [], go)
        return
    sessions.touch(now_ms, broker_id, event.caller.connection_id)
    if not others:
        controller.reply(now_ms, event, [], go)
        return
    if not known.in_controlled_shutdown:
        change = BrokerRegistrationChangeRecord(
            broker_id, known.broker_epoch, in_controlled_shutdown=1
        )
        records: list[Any] = [change, *without_broker(controller, broker_id)]
        sessions.leaving[broker_id] = controller.next_offset + len(records)
        controller.broker.outbox.note(
            Level.INFO, f"Broker {broker_id} is leaving; its leaderships move."
        )
        controller.reply(now_ms, event, records, wait)
        return
    staying = [b for b in others if image.eligible(b)]
    told = all(_knows(controller, b, sessions.leaving.get(broker_id, 0)) for b in staying)
    last = broker_id == controller.broker.node_id and any(not image.eligible(b) for b in others)
    if last or not told:
        controller.reply(now_ms, event, [], wait)
        return
    records = fence(controller, broker_id)
    sessions.forget(broker_id)
    controller.reply(now_ms, event, records, go)


def _knows(controller: Controller, broker_id: int, offset: int) -> bool:
    """Whether a broker has applied the metadata up to this offset, as its fetches say."""
    quorum = controller.broker.quorum
    if broker_id == quorum.node_id:
        return quorum.high_watermark >= offset
    leading = quorum.leading
    progress = None if leading is None else leading.voters.get(broker_id)
    return progress is None or progress.high_watermark >= offset
