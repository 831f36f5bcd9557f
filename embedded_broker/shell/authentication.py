"""Mutual authentication of brokers: both sides prove that they know the cluster's secret.

The secret is a file made with the cluster; it is never sent. The proof travels in Kafka's
SaslHandshake and SaslAuthenticate requests, under a mechanism of our own that clients are not
offered:

    dialler  -> nonce (16 bytes), its broker id, the listener's broker id, the lane
    listener -> nonce (16 bytes) and HMAC-SHA256(secret, "listener", all of these)
    dialler  -> HMAC-SHA256(secret, "dialler", all of these)

Each proof names both brokers, so a program that listens at a dead broker's address cannot pass the
messages on to another broker; it names its side, so it cannot be sent back; and it holds both
nonces, so it cannot be sent again. docs/security.md says what this does not protect from.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded_broker.shell import platform
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
LEAST_SECRET_BYTES = 16
PEERS = re.compile(rb"([0-9]{1,10})>([0-9]{1,10}):([a-z]{1,20})")
"""The dialler's id, the listener's id and the lane. Digits are bounded: converting a number of any
length would let a client stop the broker."""


class SecretRefused(Exception):
    """The cluster's secret cannot be used; the text is a sentence that names the place."""


def make_secret(folder: Path) -> None:
    """Write a new secret, readable by its owner only, unless the folder has one. It is whole and on
    the disk when this returns: a crash leaves the folder without a secret, never with half of one.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / SECRET_FILE
    if path.exists():
        return
    temporary = folder / f"{SECRET_FILE}.{secrets.token_hex(8)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w") as f:
            f.write(secrets.token_hex(SECRET_BYTES))
            f.flush()
            os.fsync(f.fileno())
        # A hard link fails where the file exists: of two programs, one makes the secret.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    platform.sync_directory(folder)


def find_secret(*folders: Path) -> bytes:
    """Return the secret of the first folder that has one; make one in the last if none has.

    Raises:
        SecretRefused: the file is damaged, or its secret is too short.
        OSError: it cannot be read or made.
    """
    for folder in folders:
        path = folder / SECRET_FILE
        if path.exists():
            return _read_secret(path)
    make_secret(folders[-1])
    return _read_secret(folders[-1] / SECRET_FILE)


def _read_secret(path: Path) -> bytes:
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        raise SecretRefused(
            f"{path} is damaged: it must hold the hex digits of {LEAST_SECRET_BYTES} bytes or "
            "more; copy it from another broker of the cluster"
        ) from None
    return checked(secret, str(path))


def checked(secret: bytes, place: str) -> bytes:
    """Return the secret if it is long enough not to be guessed.

    Raises:
        SecretRefused
    """
    if len(secret) < LEAST_SECRET_BYTES:
        raise SecretRefused(
            f"the secret in {place} has {len(secret)} bytes and needs at least "
            f"{LEAST_SECRET_BYTES}: with less, another program could act as a broker"
        )
    return secret


def proof(
    secret: bytes, side: str, dialler_nonce: bytes, listener_nonce: bytes, peers: bytes
) -> bytes:
    """Return the proof of one side (PROOF_BYTES). ``peers`` is as in the dialler's first message;
    the other parts have fixed lengths, so no two inputs give the same text."""
    text = b"|".join([side.encode(), dialler_nonce, listener_nonce, peers])
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

    def __init__(self, secret: bytes, broker_id: int) -> None:
        self._secret = secret
        self._broker_id = broker_id

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
        """Answer the dialler's first message with our nonce and proof; None if it is malformed or
        meant for another broker."""
        dialler_nonce, peers = bytes(auth_bytes[:NONCE_BYTES]), bytes(auth_bytes[NONCE_BYTES:])
        named = PEERS.fullmatch(peers)
        if named is None or int(named[2]) != self._broker_id:
            return None
        nonce = secrets.token_bytes(NONCE_BYTES)
        expected = proof(self._secret, "dialler", dialler_nonce, nonce, peers)
        connection.challenge = expected + named[1]
        own = proof(self._secret, "listener", dialler_nonce, nonce, peers)
        return SaslAuthenticateResponse(auth_bytes=nonce + own)


class DiallerProof:
    """The dialler's side of one connection: the two messages that it sends.

    States: new -> proven, once ``final_message`` has accepted the listener's proof. No response
    of the listener opens the connection before that.
    """

    def __init__(self, secret: bytes, broker_id: int, listener_id: int, lane: str) -> None:
        self._secret = secret
        self._peers = b"%d>%d:%s" % (broker_id, listener_id, lane.encode())
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self.proven = False
        """Whether the listener has proved that it is the broker that was dialled."""

    def first_message(self) -> bytes:
        """Our nonce, both broker ids and the lane."""
        return self._nonce + self._peers

    def final_message(self, answer: bytes) -> bytes | None:
        """Check the listener's answer and return our proof, or None when the listener is not the
        broker that was dialled."""
        listener_nonce, listener_proof = bytes(answer[:NONCE_BYTES]), answer[NONCE_BYTES:]
        expected = proof(self._secret, "listener", self._nonce, listener_nonce, self._peers)
        if not hmac.compare_digest(bytes(listener_proof), expected):
            return None
        self.proven = True
        return proof(self._secret, "dialler", self._nonce, listener_nonce, self._peers)
