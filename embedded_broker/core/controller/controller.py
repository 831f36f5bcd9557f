"""The active controller: decides, proposes metadata records, and answers when they are committed.

    inactive -> active     this node leads the quorum and the first record of its epoch is committed
    active   -> inactive   leadership is lost; what is not committed yet is forgotten, its requests get NOT_CONTROLLER

While active it holds an image that runs ahead of the committed one by its own proposals: each
request is judged by all that was decided before it. An answer, also one that changes nothing,
leaves when everything it was judged by is committed, so that nobody is told of what may still be
lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from embedded_broker.core.config import Config
from embedded_broker.core.controller.refusals import refusal
from embedded_broker.core.controller.sessions import Sessions
from embedded_broker.core.effects import Level
from embedded_broker.core.events import RequestReceived
from embedded_broker.core.metadata.image import MetadataDelta, MetadataImage
from embedded_broker.core.metadata.records import FeatureLevelRecord
from embedded_broker.core.metadata.replay import copy, replay
from embedded_broker.core.quorum.quorum import NotLeader
from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import ZERO_UUID

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker

FEATURES = {"metadata.version": 25, "eligible.leader.replicas.version": 1}
"""Finalised when a cluster begins: 4.0-IV3, the first level whose records are all that is written
here."""
REBALANCE_TIMER = "controller.rebalance"
MAX_REBALANCED = 1000

Waiting = tuple[int, RequestReceived | None, Any]
"""(offset that must be committed, request, its answer)"""


class Controller:
    """Every handler in ``core.controller`` and the api files reads ``image`` and ends in
    ``reply``."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.image = MetadataImage()
        self.config = Config(broker.settings, self.image)
        self.sessions = Sessions(self)
        self.active_epoch = -1
        self._active = False
        self._waiting: deque[Waiting] = deque()

    @property
    def is_active(self) -> bool:
        return self._active

    # ---- leadership
    def on_leadership(self, now_ms: int) -> None:
        """The quorum's leader or epoch has changed; may be told twice."""
        if self._active and (
            not self.broker.quorum.is_leader or self.broker.quorum.epoch != self.active_epoch
        ):
            self._active = False
            self.broker.outbox.note(
                Level.INFO, f"Is no longer the active controller (epoch {self.active_epoch})."
            )
            self.broker.outbox.cancel(REBALANCE_TIMER)
            self.sessions.close()
            self.image = MetadataImage()
            waiting, self._waiting = self._waiting, deque()
            for _, request, _ in waiting:
                if request is not None:
                    self.refuse(request)

    def on_high_watermark(self, now_ms: int, high_watermark: int) -> None:
        """Called by the quorum after the committed records are in the broker's image."""
        quorum = self.broker.quorum
        leading = quorum.leading
        if not self._active and leading is not None and high_watermark > leading.epoch_start_offset:
            self._activate(now_ms)
        while self._waiting and self._waiting[0][0] <= high_watermark:
            _, request, response = self._waiting.popleft()
            if request is not None:
                self.broker.outbox.respond(request, response)

    def _activate(self, now_ms: int) -> None:
        quorum = self.broker.quorum
        assert quorum.high_watermark == quorum.log.end_offset, (
            "records of this epoch before it was active"
        )
        self._active = True
        self.active_epoch = quorum.epoch
        self.image = copy(self.broker.image)
        self.config = Config(self.broker.settings, self.image)
        self.broker.outbox.note(
            Level.INFO, f"Is the active controller (epoch {self.active_epoch})."
        )
        self.sessions.start(now_ms)
        missing = [
            FeatureLevelRecord(n, v) for n, v in FEATURES.items() if n not in self.image.features
        ]
        if missing:
            self.propose(now_ms, missing)
        self._set_rebalance_timer(now_ms)
        self.broker.channel.on_leader_change(now_ms)

    # ---- proposals
    def reply(
        self, now_ms: int, request: RequestReceived, records: Sequence[Any], response: Any
    ) -> None:
        """Propose what the request asks for; answer it when that, and all it was judged by, is
        committed."""
        if not self._active or (records and not self.propose(now_ms, records)):
            self.refuse(request)
            return
        if self.image.offset <= self.broker.quorum.high_watermark:
            self.broker.outbox.respond(request, response)
        else:
            self._waiting.append((self.image.offset, request, response))

    def propose(self, now_ms: int, records: Sequence[Any]) -> bool:
        """Append and replay ahead; false when this node leads no more."""
        from embedded_broker.core.controller.partitions import after_config_change

        records = [*records, *after_config_change(self, records)]
        try:
            end_offset = self.broker.quorum.propose(now_ms, records)
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
        self.broker.outbox.respond(
            request, refusal(request.message, code, text or "This is not the controller.")
        )

    @property
    def next_offset(self) -> int:
        """Where the next record proposed will lie: a broker's epoch is the offset of its
        registration."""
        return self.broker.quorum.log.end_offset

    def connection_closed(self, now_ms: int, connection_id: int) -> None:
        if self._active:
            self.sessions.hung_up(now_ms, connection_id)

    def knows_another(self, now_ms: int, broker_id: int, directory_id: UUID) -> bool:
        """Whether a live broker has this id and another log directory: then this one's word does
        not count for it."""
        known = self.image.brokers.get(broker_id) if self._active else None
        if known is None or directory_id == ZERO_UUID or not known.directory_ids:
            return False
        return directory_id not in known.directory_ids and self.sessions.is_live(now_ms, broker_id)

    # ---- housekeeping
    def every(self, now_ms: int, key: str, at_ms: int, work: Callable[[int], None]) -> None:
        """A timer of the active controller: it does nothing after this activity has ended."""
        epoch = self.active_epoch

        def fire(now: int) -> None:
            if self._active and self.active_epoch == epoch:
                work(now)

        self.broker.outbox.timer(key, at_ms, fire)

    def _set_rebalance_timer(self, now_ms: int) -> None:
        interval_ms = self.broker.settings["leader.imbalance.check.interval.seconds"] * 1000
        self.every(now_ms, REBALANCE_TIMER, now_ms + interval_ms, self._rebalance)

    def _rebalance(self, now_ms: int) -> None:
        from embedded_broker.core.controller.partitions import preferred_changes

        if self.broker.settings["auto.leader.rebalance.enable"]:
            records = preferred_changes(self, MAX_REBALANCED)
            if records:
                self.propose(now_ms, records)
        self._set_rebalance_timer(now_ms)
