"""The active controller: decides, proposes metadata records, and responds when they are
committed.

    inactive -> active     this node leads the quorum, and the first record of its epoch is
                           committed
    active   -> inactive   leadership is lost: uncommitted proposals are discarded, their requests
                           get NOT_CONTROLLER

While active it has a view of the cluster that includes its own uncommitted proposals:
each request is judged by all earlier decisions. A response, also one that changes
nothing, leaves when everything it was judged by is committed, so that no client learns
of a state that may be lost.

The handlers of requests are in the other files of this package. Each takes a
``Controller``, reads ``view`` and ends with ``reply`` or ``refuse``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from embedded_broker.core.config import Config
from embedded_broker.core.controller.partitions import after_config_change, preferred_changes
from embedded_broker.core.controller.ports import MetadataQuorum
from embedded_broker.core.controller.refusals import refusal
from embedded_broker.core.controller.sessions import Sessions
from embedded_broker.core.controller.view import ClusterView
from embedded_broker.core.effects import Level
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import MetadataDelta, MetadataImage
from embedded_broker.core.metadata.records import FeatureLevelRecord, MetadataRecord
from embedded_broker.core.metadata.replay import copy, replay
from embedded_broker.core.quorum.voter import NotLeader
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID, Buffer, Message

FEATURES = {"metadata.version": 25, "eligible.leader.replicas.version": 1}
"""Finalized when a cluster starts: 4.0-IV3, the first level that has every record
written here."""
REBALANCE_TIMER = "controller.rebalance"
MAX_REBALANCED = 1000
"""Leaderships moved by one automatic rebalance."""

WaitingResponse = tuple[int, RequestReceived, Message]
"""(offset that must be committed first, request, its response)"""


class Controller:
    """One node's controller; active on at most one node per epoch."""

    def __init__(self, env: Environment, quorum: MetadataQuorum) -> None:
        self.env = env
        self.quorum = quorum
        self.view = self._view_of(MetadataImage())
        """Empty while inactive."""
        self.sessions = Sessions(env, quorum, self)
        self.active_epoch = -1
        """The quorum epoch of the current or last activity."""
        self._active = False
        self._waiting: deque[WaitingResponse] = deque()
        """In the order of their offsets."""

    @property
    def is_active(self) -> bool:
        """Return whether this node is the active controller."""
        return self._active

    @property
    def image(self) -> MetadataImage:
        """The metadata including uncommitted proposals; empty while inactive."""
        return self.view.image

    @property
    def config(self) -> Config:
        """The settings effective in ``image``."""
        return self.view.config

    def _view_of(self, image: MetadataImage) -> ClusterView:
        return ClusterView(image, Config(self.env.settings, image), self.env.outbox)

    # ---- leadership
    def on_leadership(self, now_ms: int) -> None:
        """The quorum's leader or epoch changed: resign if this node does not lead any
        more."""
        if not self._active or (self.quorum.is_leader and self.quorum.epoch == self.active_epoch):
            return
        self._active = False
        self.env.note(Level.INFO, f"Resigned as active controller (epoch {self.active_epoch}).")
        self.env.outbox.cancel(REBALANCE_TIMER)
        self.sessions.close()
        self.view = self._view_of(MetadataImage())
        waiting, self._waiting = self._waiting, deque()
        for _, request, _ in waiting:
            self.refuse(request)

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> bool:
        """Metadata is committed up to here and applied to the node's image: release the
        responses that waited for it. Return whether this node has just become
        active."""
        epoch_start = self.quorum.epoch_start_offset
        activated = False
        if not self._active and epoch_start is not None and high_watermark > epoch_start:
            self._activate(now_ms)
            activated = True
        while self._waiting and self._waiting[0][0] <= high_watermark:
            _, request, response = self._waiting.popleft()
            self.env.outbox.respond(request, response)
        return activated

    def _activate(self, now_ms: int) -> None:
        quorum = self.quorum
        # Only the active controller proposes, so the log ends with the LeaderChange
        # record.
        assert quorum.high_watermark == quorum.end_offset, (
            "records were proposed in this epoch before the controller was active"
        )
        self._active = True
        self.active_epoch = quorum.epoch
        self.view = self._view_of(copy(self.env.image))
        self.env.note(Level.INFO, f"Became the active controller (epoch {self.active_epoch}).")
        self.sessions.start(now_ms)
        missing = [
            FeatureLevelRecord(n, v) for n, v in FEATURES.items() if n not in self.image.features
        ]
        if missing:
            self.propose(now_ms, missing)
        self._set_rebalance_timer(now_ms)

    # ---- proposals
    def reply(
        self,
        now_ms: int,
        request: RequestReceived,
        records: Sequence[MetadataRecord],
        response: Message,
        values: Sequence[Buffer] = (),
    ) -> None:
        """Propose the records; respond when they, and all that the request was judged
        by, are committed. ``values`` are the records as they are encoded, if they are."""
        if not self._active or (records and not self.propose(now_ms, records, values)):
            self.refuse(request)
            return
        if self.image.offset <= self.quorum.high_watermark:
            self.env.outbox.respond(request, response)
        else:
            self._waiting.append((self.image.offset, request, response))

    def propose(
        self, now_ms: int, records: Sequence[MetadataRecord], values: Sequence[Buffer] = ()
    ) -> bool:
        """Append records to the metadata log and apply them to ``image``; False when
        this node no longer leads."""
        records = [*records, *after_config_change(self.view, records)]
        try:
            end_offset = self.quorum.propose(now_ms, records, values)
        except NotLeader:
            return False
        delta = MetadataDelta()
        for record in records:
            replay(self.image, record, delta)
        self.image.offset = end_offset
        self.image.version += 1
        return True

    def refuse(
        self, request: RequestReceived, code: ErrorCode = ErrorCode.NOT_CONTROLLER, text: str = ""
    ) -> None:
        """Respond with one error for the whole request."""
        self.env.outbox.respond(
            request,
            refusal(request.message, code, text or "This broker is not the active controller."),
        )

    @property
    def next_offset(self) -> int:
        """Offset of the next proposed record. A broker's epoch is the offset of its
        registration."""
        return self.quorum.end_offset

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        """A connection ended, perhaps a broker's."""
        if self._active:
            self.sessions.connection_closed(now_ms, connection_id)

    def is_impostor(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        """Return whether a live broker has this id and another log directory: then the
        caller must not speak for it."""
        known = self.image.brokers.get(broker_id) if self._active else None
        if known is None or directory_id == ZERO_UUID or not known.directory_ids:
            return False
        return directory_id not in known.directory_ids and self.sessions.is_live(now_ms, broker_id)

    # ---- timers
    def set_timer(self, key: str, at_ms: int, fire: Callable[[int], None]) -> None:
        """A timer that does nothing once the current activity has ended."""
        epoch = self.active_epoch

        def fire_if_active(now: int) -> None:
            if self._active and self.active_epoch == epoch:
                fire(now)

        self.env.outbox.timer(key, at_ms, fire_if_active)

    def _set_rebalance_timer(self, now_ms: int) -> None:
        interval_ms = self.env.settings["leader.imbalance.check.interval.seconds"] * 1000
        self.set_timer(REBALANCE_TIMER, now_ms + interval_ms, self._rebalance)

    def _rebalance(self, now_ms: int) -> None:
        """Return leaderships to preferred replicas."""
        if self.env.settings["auto.leader.rebalance.enable"]:
            records = preferred_changes(self.view, MAX_REBALANCED)
            if records:
                self.propose(now_ms, records)
        self._set_rebalance_timer(now_ms)
