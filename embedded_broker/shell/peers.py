"""The dialling side: connections to the other brokers, one for each peer and lane.

States of a lane: idle -> dialling -> proving -> open -> idle again when it breaks. What is sent
meanwhile waits for the next dial, which comes 20 to 500 ms after the last failure, so a core that
asks again at once is paced by it. Every request ends in an answer or a failure: a request that is
not answered in time takes its connection with it, because the answers behind it could not be told
apart. "Connected" means nothing: the kernel accepts for a frozen process too.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded_broker.core.effects import Send
from embedded_broker.shell.authentication import MECHANISM, Proving
from embedded_broker.shell.framed import FramedSocket, Shared, tune
from embedded_broker.shell.loop import WRITE
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.framing import CORRELATION_ID, decode_response, encode_request
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateRequest

FIRST_BACKOFF_MS = 20
LAST_BACKOFF_MS = 500
DIAL_TIMEOUT_MS = 2_000
DEAD_AFTER_MS = 10_000
MAX_RESPONSE_BYTES = 256 * 1024 * 1024

Answered = Callable[[int, int, Any], None]
"""(send id, peer id, message)"""
Failed = Callable[[int, int, str], None]
"""(send id, peer id, reason)"""


@dataclass(slots=True)
class Waiting:
    """A request that was or is to be sent; ``send_id`` -1 is one of the lane's own."""

    send_id: int
    message: Any
    version: int
    deadline_ms: int
    correlation_id: int = -1


class Link(FramedSocket):
    """One connection of a lane."""

    def __init__(self, lane: Lane, shared: Shared, sock: socket.socket) -> None:
        super().__init__(shared, sock, MAX_RESPONSE_BYTES, WRITE)
        self.lane = lane
        self.connected = False

    def on_writable(self) -> bool:
        if self.connected:
            return False
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close(errno.errorcode.get(code, str(code)))
            return True
        self.connected = True
        self._watch(1)
        self.lane.on_connected()
        return True

    def on_frame(self, frame: memoryview) -> bool:
        self.lane.on_response(frame)
        return True

    def on_closed(self, reason: str) -> None:
        self.lane.on_broken(reason or "the peer closed the connection")


class Lane:
    """Requests to one peer that are answered in order."""

    def __init__(self, peers: Peers, peer_id: int, name: str) -> None:
        self.peers = peers
        self.peer_id = peer_id
        self.name = name
        self._link: Link | None = None
        self._proving: Proving | None = None
        self._open = False
        self._queued: deque[Waiting] = deque()
        self._in_flight: deque[Waiting] = deque()
        self._correlation_id = 0
        self._backoff_ms = 0
        self._dial_due_ms = 0
        self._dial_set = False
        self._watch_ms = 0

    # ---- sending
    def send(self, waiting: Waiting) -> None:
        if self._open:
            self._transmit(waiting)
        else:
            self._queued.append(waiting)
            if self._link is None:
                self._dial_later()
        self._watch_until(waiting.deadline_ms)

    def _transmit(self, waiting: Waiting) -> None:
        link = self._link
        assert link is not None
        self._correlation_id = correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        waiting.correlation_id = correlation_id
        message = waiting.message
        link.queue(encode_request(message, waiting.version, correlation_id, self.peers.client_id))
        self._in_flight.append(waiting)
        self.peers.dirty(link)

    # ---- connecting
    def _dial_later(self) -> None:
        now = self.peers.shared.loop.now_ms()
        if now >= self._dial_due_ms:
            self._dial()
        elif not self._dial_set:
            self._dial_set = True
            self.peers.shared.loop.call_at(self._dial_due_ms, self._dial_now)

    def _dial_now(self) -> None:
        self._dial_set = False
        if self._link is None and self._queued:
            self._dial()

    def _dial(self) -> None:
        address = self.peers.addresses.get(self.peer_id)
        if address is None:
            self._broken_dial("the peer's address is not known")
            return
        sock: socket.socket | None = None
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            tune(sock, DEAD_AFTER_MS)
            code = sock.connect_ex(address)
        except OSError as e:
            if sock is not None:
                sock.close()
            self._broken_dial(e.strerror or str(e))
            return
        if code not in (
            0,
            errno.EINPROGRESS,
            errno.EWOULDBLOCK,
            getattr(errno, "WSAEWOULDBLOCK", 0),
        ):
            sock.close()
            self._broken_dial(errno.errorcode.get(code, str(code)))
            return
        self._link = link = Link(self, self.peers.shared, sock)

        def give_up() -> None:
            if self._link is link and not self._open:
                link.close("the peer did not answer the dial in time")

        self.peers.shared.loop.call_at(self.peers.shared.loop.now_ms() + DIAL_TIMEOUT_MS, give_up)

    def _broken_dial(self, reason: str) -> None:
        self._slow_down()
        self._fail_all(reason)

    def on_connected(self) -> None:
        self._proving = Proving(self.peers.secret, self.peers.broker_id)
        self._transmit(Waiting(-1, SaslHandshakeRequest(MECHANISM), 1, 0))

    def _prove(self, message: Any) -> None:
        """One step of the proof, after the peer's answer to the last."""
        proving, link = self._proving, self._link
        assert proving is not None and link is not None
        if message.error_code:
            link.close("the peer does not take this broker for one of its cluster")
        elif message.API_KEY == SaslHandshakeRequest.API_KEY:
            self._transmit(Waiting(-1, SaslAuthenticateRequest(proving.first()), 1, 0))
        elif message.auth_bytes:
            last_word = proving.second(message.auth_bytes)
            if last_word is None:
                link.close("the peer is no broker of this cluster")
                return
            self._transmit(Waiting(-1, SaslAuthenticateRequest(last_word), 1, 0))
        else:
            self._open = True
            self._backoff_ms = 0
            while self._queued and self._open:
                self._transmit(self._queued.popleft())

    # ---- answers
    def on_response(self, frame: memoryview) -> None:
        link = self._link
        assert link is not None
        (correlation_id,) = CORRELATION_ID.unpack_from(frame, 0)
        if not self._in_flight or self._in_flight[0].correlation_id != correlation_id:
            link.close("the peer answered out of order")
            return
        waiting = self._in_flight.popleft()
        api_key = waiting.message.API_KEY
        try:
            message = decode_response(api_key, waiting.version, frame)
        except ProtocolError as e:
            self._in_flight.appendleft(waiting)
            link.close(f"a malformed response of api {api_key}: {e}")
            return
        if waiting.send_id < 0:
            self._prove(message)
            return
        self.peers.answered(waiting.send_id, self.peer_id, message)
        if api_key == ApiKey.FETCH:
            _release_fetched(message)

    def on_broken(self, reason: str) -> None:
        self._link = None
        self._open = False
        self._slow_down()
        self._fail_all(reason)

    def _slow_down(self) -> None:
        self._backoff_ms = min(LAST_BACKOFF_MS, max(FIRST_BACKOFF_MS, 2 * self._backoff_ms))
        self._dial_due_ms = self.peers.shared.loop.now_ms() + self._backoff_ms

    def _fail_all(self, reason: str) -> None:
        failed = [*self._in_flight, *self._queued]
        self._in_flight.clear()
        self._queued.clear()
        for waiting in failed:
            if waiting.send_id >= 0:
                self.peers.failed(waiting.send_id, self.peer_id, reason)

    # ---- deadlines
    def _watch_until(self, deadline_ms: int) -> None:
        if self._watch_ms and self._watch_ms <= deadline_ms:
            return
        self._watch_ms = deadline_ms
        self.peers.shared.loop.call_at(deadline_ms, self._check_deadlines)

    def _check_deadlines(self) -> None:
        now = self.peers.shared.loop.now_ms()
        if self._watch_ms > now:
            return  # an earlier watch, replaced meanwhile
        self._watch_ms = 0
        late = [w for w in self._queued if w.deadline_ms <= now]
        for waiting in late:
            self._queued.remove(waiting)
            self.peers.failed(
                waiting.send_id, self.peer_id, "timed out before a connection was had"
            )
        if (
            any(w.send_id >= 0 and w.deadline_ms <= now for w in self._in_flight)
            and self._link is not None
        ):
            self._link.close("the peer did not answer in time")
        left = [w.deadline_ms for w in (*self._in_flight, *self._queued) if w.send_id >= 0]
        if left:
            self._watch_until(min(left))

    def close(self) -> None:
        if self._link is not None:
            self._link.close("this broker is stopping")
        self._fail_all("this broker is stopping")


class Peers:
    """All lanes of a broker. ``answered`` and ``failed`` are called from the loop, never from
    within ``send``."""

    def __init__(
        self, shared: Shared, broker_id: int, secret: bytes, answered: Answered, failed: Failed
    ) -> None:
        self.shared = shared
        self.broker_id = broker_id
        self.secret = secret
        self.client_id = f"broker-{broker_id}".encode()
        self.addresses: dict[int, tuple[str, int]] = {}
        self.answered = answered
        self._on_failed = failed
        self._failures: deque[tuple[int, int, str]] = deque()
        self._lanes: dict[tuple[int, str], Lane] = {}
        self._dirty: list[Link] = []

    def send(self, effect: Send) -> None:
        key = (effect.peer_id, effect.lane)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self, *key)
        deadline_ms = self.shared.loop.turn_ms + effect.timeout_ms
        lane.send(Waiting(effect.send_id, effect.message, effect.version, deadline_ms))

    def set_address(self, peer_id: int, host: str, port: int) -> None:
        self.addresses[peer_id] = (host, port)

    def failed(self, send_id: int, peer_id: int, reason: str) -> None:
        self._failures.append((send_id, peer_id, reason))

    def dirty(self, link: Link) -> None:
        self._dirty.append(link)

    def flush(self) -> None:
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for link in dirty:
                if link.out_bytes and not link.closed:
                    link.flush()

    def report_failures(self) -> bool:
        """Tell of the requests that failed; True when there were any."""
        if not self._failures:
            return False
        for _ in range(len(self._failures)):
            self._on_failed(*self._failures.popleft())
        return True

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


def _release_fetched(message: Any) -> None:
    for topic in message.responses:
        for partition in topic.partitions:
            view = partition.records
            if isinstance(view, memoryview):
                partition.records = None
                view.release()
