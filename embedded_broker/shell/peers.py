"""The dialling side of a broker: connections to the other brokers, one per peer and lane.

States of a lane: idle -> dialling -> authenticating -> open -> idle again when the connection
breaks. Requests sent meanwhile wait for the next dial, which follows 20 to 500 ms after the last
failure, so the back-off also paces a core that retries at once.

Every request ends in a response or a failure. One that is not answered in time takes its
connection with it: responses come in order, so those behind it could not be told apart. That a
connection is established means nothing, because the kernel accepts for a frozen process too.
Everything runs in the thread of the event loop.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded_broker.core.effects import Send
from embedded_broker.shell.authentication import MECHANISM, DiallerProof
from embedded_broker.shell.framed import FramedSocket, Shared, release_records, tune
from embedded_broker.shell.loop import READ, WRITE
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.fields import Message
from kafka_protocol.framing import CORRELATION_ID, decode_response, encode_request
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateRequest

FIRST_BACKOFF_MS = 20
LAST_BACKOFF_MS = 500
DIAL_TIMEOUT_MS = 2_000
DEAD_AFTER_MS = 10_000
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
OWN_REQUEST = -1
"""The send id of the lane's own authentication requests, which the core did not send."""
CONNECTING = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))
"""What connect_ex returns for a non-blocking socket that is on its way."""

OnResponse = Callable[[int, int, Message], None]
"""(send id, peer id, message)"""
OnFailure = Callable[[int, int, str], None]
"""(send id, peer id, reason)"""


@dataclass(slots=True)
class PendingRequest:
    """A request that is queued or in flight."""

    send_id: int
    message: Message
    version: int
    deadline_ms: int
    """On the loop's clock; not used for the lane's own requests, which the dial timeout bounds."""
    correlation_id: int = -1


class PeerConnection(FramedSocket):
    """One connection of a lane."""

    def __init__(self, lane: Lane, shared: Shared, sock: socket.socket) -> None:
        super().__init__(shared, sock, MAX_RESPONSE_BYTES, WRITE)
        shared.loop.prefer(self.fd)
        self.pool = shared.peer_pool
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
        self._watch(READ)
        self.lane.on_connected()
        return True

    def on_frame(self, frame: memoryview) -> bool:
        self.lane.on_response(frame)
        return True

    def on_closed(self, reason: str) -> None:
        self.lane.on_disconnected(reason or "the peer closed the connection")


class Lane:
    """Requests to one peer, answered in the order in which they are sent."""

    def __init__(self, peers: Peers, peer_id: int, name: str) -> None:
        self.peers = peers
        self.peer_id = peer_id
        self.name = name
        self._connection: PeerConnection | None = None
        self._proof: DiallerProof | None = None
        self._open = False
        """Whether both sides have authenticated each other on ``_connection``."""
        self._queued: deque[PendingRequest] = deque()
        """Waiting for an open connection, oldest first."""
        self._in_flight: deque[PendingRequest] = deque()
        self._correlation_id = 0
        self._backoff_ms = 0
        self._dial_due_ms = 0
        """No dial before this time of the loop's clock."""
        self._dial_scheduled = False
        self._deadline_call_ms = 0
        """When the next look at the deadlines is due; 0 when none is."""

    # ---- sending
    def send(self, request: PendingRequest) -> None:
        """Send a request, or queue it and dial."""
        if self._open:
            self._transmit(request)
        else:
            self._queued.append(request)
            if self._connection is None:
                self._dial_when_due()
        self._call_at_deadline(request.deadline_ms)

    def _transmit(self, request: PendingRequest) -> None:
        connection = self._connection
        assert connection is not None
        self._correlation_id = correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        request.correlation_id = correlation_id
        message, version = request.message, request.version
        connection.queue(encode_request(message, version, correlation_id, self.peers.client_id))
        self._in_flight.append(request)
        self.peers.schedule_flush(connection)

    # ---- connecting
    def _dial_when_due(self) -> None:
        loop = self.peers.shared.loop
        if loop.now_ms() >= self._dial_due_ms:
            self._dial()
        elif not self._dial_scheduled:
            self._dial_scheduled = True
            loop.call_at(self._dial_due_ms, self._dial_now)

    def _dial_now(self) -> None:
        self._dial_scheduled = False
        if self._connection is None and self._queued:
            self._dial()

    def _dial(self) -> None:
        address = self.peers.addresses.get(self.peer_id)
        if address is None:
            self._dial_failed("the address of the peer is unknown")
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
            self._dial_failed(e.strerror or str(e))
            return
        if code not in CONNECTING:
            sock.close()
            self._dial_failed(errno.errorcode.get(code, str(code)))
            return
        loop = self.peers.shared.loop
        self._connection = connection = PeerConnection(self, self.peers.shared, sock)

        def give_up() -> None:
            if self._connection is connection and not self._open:
                connection.close("the peer did not authenticate in time")

        loop.call_at(loop.now_ms() + DIAL_TIMEOUT_MS, give_up)

    def _dial_failed(self, reason: str) -> None:
        self._increase_backoff()
        self._fail_all(reason)

    def on_connected(self) -> None:
        """Begin the mutual authentication (see authentication.py)."""
        self._proof = DiallerProof(self.peers.secret, self.peers.broker_id, self.peer_id, self.name)
        self._transmit(PendingRequest(OWN_REQUEST, SaslHandshakeRequest(MECHANISM), 1, 0))

    def _authenticate(self, response: Any) -> None:
        """Take the next step after the peer's response to the last one."""
        proof, connection = self._proof, self._connection
        assert proof is not None and connection is not None
        if response.error_code:
            connection.close("the peer does not accept this broker as one of its cluster")
        elif response.API_KEY == SaslHandshakeRequest.API_KEY:
            self._transmit_proof(proof.first_message())
        elif not proof.proven:
            # Whatever else it answers: without its proof nothing is sent to it.
            final = proof.final_message(response.auth_bytes)
            if final is None:
                connection.close("the peer is not a broker of this cluster")
                return
            self._transmit_proof(final)
        else:
            self._open = True
            self._backoff_ms = 0
            while self._queued and self._open:
                self._transmit(self._queued.popleft())

    def _transmit_proof(self, auth_bytes: bytes) -> None:
        self._transmit(PendingRequest(OWN_REQUEST, SaslAuthenticateRequest(auth_bytes), 1, 0))

    # ---- responses
    def on_response(self, frame: memoryview) -> None:
        """Take a whole frame of the peer."""
        connection = self._connection
        assert connection is not None
        (correlation_id,) = CORRELATION_ID.unpack_from(frame, 0)
        if not self._in_flight or self._in_flight[0].correlation_id != correlation_id:
            connection.close("the peer responded out of order")
            return
        request = self._in_flight.popleft()
        api_key = request.message.API_KEY
        try:
            message = decode_response(api_key, request.version, frame)
        except ProtocolError as e:
            self._in_flight.appendleft(request)  # fails with the others
            connection.close(f"malformed response of API key {api_key}: {e}")
            return
        if request.send_id == OWN_REQUEST:
            self._authenticate(message)
            return
        self.peers.on_response(request.send_id, self.peer_id, message)
        if api_key == ApiKey.FETCH:
            # The follower has appended the records by now: the frame's buffer is free again.
            for topic in message.responses:
                release_records(topic.partitions)

    def on_disconnected(self, reason: str) -> None:
        """Fail what is queued and in flight; the next request dials again."""
        self._connection = None
        self._open = False
        self._increase_backoff()
        self._fail_all(reason)

    def _increase_backoff(self) -> None:
        self._backoff_ms = min(LAST_BACKOFF_MS, max(FIRST_BACKOFF_MS, 2 * self._backoff_ms))
        self._dial_due_ms = self.peers.shared.loop.now_ms() + self._backoff_ms

    def _fail_all(self, reason: str) -> None:
        failed = [*self._in_flight, *self._queued]
        self._in_flight.clear()
        self._queued.clear()
        for request in failed:
            if request.send_id != OWN_REQUEST:
                self.peers.fail(request.send_id, self.peer_id, reason)

    # ---- deadlines
    def _call_at_deadline(self, deadline_ms: int) -> None:
        """Look at the deadlines at this time, unless an earlier look is due anyway."""
        if self._deadline_call_ms and self._deadline_call_ms <= deadline_ms:
            return
        self._deadline_call_ms = deadline_ms
        self.peers.shared.loop.call_at(deadline_ms, self._check_deadlines)

    def _check_deadlines(self) -> None:
        now = self.peers.shared.loop.now_ms()
        if self._deadline_call_ms > now:
            return  # this call was replaced by an earlier one, which is done
        self._deadline_call_ms = 0
        for request in [r for r in self._queued if r.deadline_ms <= now]:
            self._queued.remove(request)
            self.peers.fail(request.send_id, self.peer_id, "timed out without a connection")
        sent = [r for r in self._in_flight if r.send_id != OWN_REQUEST]
        if self._connection is not None and any(r.deadline_ms <= now for r in sent):
            self._connection.close("the peer did not respond in time")
        left = [
            r.deadline_ms for r in (*self._in_flight, *self._queued) if r.send_id != OWN_REQUEST
        ]
        if left:
            self._call_at_deadline(min(left))

    def close(self) -> None:
        """Close the connection and fail what is pending."""
        if self._connection is not None:
            self._connection.close("this broker is stopping")
        self._fail_all("this broker is stopping")


class Peers:
    """All lanes of a broker. ``on_response`` and ``on_failure`` are called from the loop, never
    from within ``send``."""

    def __init__(
        self,
        shared: Shared,
        broker_id: int,
        secret: bytes,
        on_response: OnResponse,
        on_failure: OnFailure,
    ) -> None:
        self.shared = shared
        self.broker_id = broker_id
        self.secret = secret
        self.client_id = f"broker-{broker_id}".encode()
        self.addresses: dict[int, tuple[str, int]] = {}
        self.on_response = on_response
        self._on_failure = on_failure
        self._failures: deque[tuple[int, int, str]] = deque()
        self._lanes: dict[tuple[int, str], Lane] = {}
        self._to_flush: list[PeerConnection] = []

    def send(self, effect: Send) -> None:
        """Send a request on its lane; a response or a failure follows within its timeout."""
        key = (effect.peer_id, effect.lane)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self, *key)
        deadline_ms = self.shared.loop.turn_ms + effect.timeout_ms
        lane.send(PendingRequest(effect.send_id, effect.message, effect.version, deadline_ms))

    def set_address(self, peer_id: int, host: str, port: int) -> None:
        """Dial this peer here from now on; open connections stay."""
        self.addresses[peer_id] = (host, port)

    def fail(self, send_id: int, peer_id: int, reason: str) -> None:
        """Report a failure at the end of the wake-up, outside of the core's own call."""
        self._failures.append((send_id, peer_id, reason))

    def schedule_flush(self, connection: PeerConnection) -> None:
        """Flush this connection at the end of the wake-up."""
        self._to_flush.append(connection)

    def flush(self) -> None:
        """Send the requests of this wake-up."""
        if self._to_flush:
            connections, self._to_flush = self._to_flush, []
            for connection in connections:
                if connection.out_bytes and not connection.closed:
                    connection.flush()

    def report_failures(self) -> bool:
        """Report the requests that failed in this wake-up; True when there were any."""
        if not self._failures:
            return False
        for _ in range(len(self._failures)):
            self._on_failure(*self._failures.popleft())
        return True

    def close(self) -> None:
        """Close all connections and fail what is pending."""
        for lane in self._lanes.values():
            lane.close()
