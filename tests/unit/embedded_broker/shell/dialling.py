"""The dialling side of a broker, run in a thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from embedded_broker.core.effects import Send
from embedded_broker.shell.framed import Shared
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.peers import Peers
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from tests.unit.embedded_broker.shell.fakes import SECRET


class Dialler:
    """A broker's dialling side in a thread; collects responses and failures."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.responses: list[tuple[int, Any]] = []
        self.failures: list[tuple[int, str]] = []
        self.changed = threading.Condition()
        self.loop = Loop()
        self.peers = Peers(
            Shared(self.loop),
            7,
            secret,
            lambda send_id, _peer, message: self._add(self.responses, (send_id, message)),
            lambda send_id, _peer, reason: self._add(self.failures, (send_id, reason)),
        )
        self.loop.after_tick = self._after_tick
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def _add(self, results: list[tuple[int, Any]], result: tuple[int, Any]) -> None:
        with self.changed:
            results.append(result)
            self.changed.notify_all()

    def _after_tick(self) -> bool:
        again = self.peers.report_failures()
        self.peers.flush()
        return again

    def send(
        self,
        send_id: int,
        timeout_ms: int = 5000,
        lane: str = "control",
        peer: int = 1,
        topics: Sequence[str] = (),
    ) -> None:
        message = MetadataRequest([MetadataRequestTopic(name=name) for name in topics])
        effect = Send(send_id, peer, lane, message, 9, timeout_ms)
        self.loop.post(lambda: self.peers.send(effect))

    def wait(self, responses: int = 0, failures: int = 0, results: int = 0) -> None:
        """Wait for so many responses, failures, and results of either kind."""

        def enough() -> bool:
            counts = len(self.responses), len(self.failures)
            return counts[0] >= responses and counts[1] >= failures and sum(counts) >= results

        with self.changed:
            assert self.changed.wait_for(enough, 10), (self.responses, self.failures)

    def stop(self) -> None:
        self.loop.post(self.peers.close)
        self.loop.post(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
