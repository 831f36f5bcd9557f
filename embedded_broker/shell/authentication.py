"""Mutual authentication of brokers: both sides prove that they know the cluster's secret.

The secret is a file made with the cluster; it is never sent. The proof travels in Kafka's
SaslHandshake and SaslAuthenticate requests, under a mechanism of our own that clients are not
offered:

    dialler  -> nonce (16 bytes) and its broker id
    listener -> nonce (16 bytes) and HMAC-SHA256(secret, "listener", both nonces, the id)
    dialler  -> HMAC-SHA256(secret, "dialler", both nonces, the id)
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kafka_protocol.errors import ErrorCode
from kafka_protocol.fields import Message
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from kafka_protocol.messages.k36_sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)

MECHANISM = "KAFKARIUM-CLUSTER"
SECRET_FILE = "cluster.secret"
NONCE_BYTES = 16
PROOF_BYTES = 32
SECRET_BYTES = 32
MAX_ID_DIGITS = 10
"""Of a 32-bit broker id; converting a number of any length would let a client stop the broker."""


def make_secret(folder: Path) -> None:
    """Write a new secret, readable by its owner only, unless the folder has one.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / SECRET_FILE
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(fd, "w") as f:
        f.write(secrets.token_hex(SECRET_BYTES))


def find_secret(*folders: Path) -> bytes:
    """Return the secret of the first folder that has one; make one in the last if none has."""
    for folder in folders:
        path = folder / SECRET_FILE
        if path.exists():
            return bytes.fromhex(path.read_text().strip())
    make_secret(folders[-1])
    return bytes.fromhex((folders[-1] / SECRET_FILE).read_text().strip())


def proof(
    secret: bytes, side: str, dialler_nonce: bytes, listener_nonce: bytes, broker_id: int
) -> bytes:
    """Return the proof of one side (PROOF_BYTES). Naming the side keeps an attacker from sending
    a listener's proof back as a dialler's."""
    text = b"|".join([side.encode(), dialler_nonce, listener_nonce, str(broker_id).encode()])
    return hmac.digest(secret, text, "sha256")


class Challenged(Protocol):
    """A connection, as far as the authentication uses it."""

    challenge: bytes | None
    """None before the handshake, empty after it, then the expected proof and the broker id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One step of an authentication: the response, and what follows for the connection."""

    response: Message
    broker_id: int = -1
    """The id of the broker that completed its proof, else -1."""
    refusal: str = ""
    """Why to close the connection after the response; empty to keep it."""


class Authentication:
    """The listener's side. States of a connection: new -> handshake done -> challenged -> broker;
    any other order fails."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def respond(self, connection: Challenged, message: Message) -> Outcome:
        """Answer a SaslHandshake or SaslAuthenticate request of this connection."""
        if isinstance(message, SaslHandshakeRequest):
            return self._handshake(connection, message)
        assert isinstance(message, SaslAuthenticateRequest)
        auth_bytes = message.auth_bytes
        if connection.challenge == b"":
            response = self._challenge(connection, auth_bytes)
            if response is not None:
                return Outcome(response)
        elif connection.challenge:
            expected = connection.challenge[:PROOF_BYTES]
            broker_id = int(connection.challenge[PROOF_BYTES:])
            connection.challenge = None  # one attempt per handshake
            if hmac.compare_digest(expected, auth_bytes):
                return Outcome(SaslAuthenticateResponse(), broker_id)
        response = SaslAuthenticateResponse(
            ErrorCode.SASL_AUTHENTICATION_FAILED, "Authentication failed."
        )
        return Outcome(response, refusal="it failed to prove that it is a broker of this cluster")

    def _handshake(self, connection: Challenged, message: SaslHandshakeRequest) -> Outcome:
        if message.mechanism == MECHANISM:
            connection.challenge = b""
            return Outcome(SaslHandshakeResponse(0, [MECHANISM]))
        # KIP-43: name the mechanisms that are offered (none to clients), then close.
        response = SaslHandshakeResponse(ErrorCode.UNSUPPORTED_SASL_MECHANISM, [])
        name = repr(message.mechanism[:40])
        return Outcome(response, refusal=f"unsupported SASL mechanism {name}")

    def _challenge(
        self, connection: Challenged, auth_bytes: bytes
    ) -> SaslAuthenticateResponse | None:
        """Answer the dialler's first message with our nonce and proof; None if it is malformed."""
        dialler_nonce, id_text = bytes(auth_bytes[:NONCE_BYTES]), bytes(auth_bytes[NONCE_BYTES:])
        if not id_text.isdigit() or len(id_text) > MAX_ID_DIGITS:
            return None
        broker_id = int(id_text)
        nonce = secrets.token_bytes(NONCE_BYTES)
        expected = proof(self._secret, "dialler", dialler_nonce, nonce, broker_id)
        connection.challenge = expected + id_text
        own = proof(self._secret, "listener", dialler_nonce, nonce, broker_id)
        return SaslAuthenticateResponse(auth_bytes=nonce + own)


class DiallerProof:
    """The dialler's side of one connection: the two messages that it sends."""

    def __init__(self, secret: bytes, broker_id: int) -> None:
        self._secret = secret
        self._broker_id = broker_id
        self._nonce = secrets.token_bytes(NONCE_BYTES)

    def first_message(self) -> bytes:
        """Our nonce and our broker id."""
        return self._nonce + str(self._broker_id).encode()

    def final_message(self, answer: bytes) -> bytes | None:
        """Check the listener's answer and return our proof, or None when the listener is not a
        broker of this cluster."""
        listener_nonce, listener_proof = answer[:NONCE_BYTES], answer[NONCE_BYTES:]
        expected = proof(self._secret, "listener", self._nonce, listener_nonce, self._broker_id)
        if not hmac.compare_digest(listener_proof, expected):
            return None
        return proof(self._secret, "dialler", self._nonce, listener_nonce, self._broker_id)
