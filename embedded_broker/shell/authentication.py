"""How brokers of one cluster know each other: a secret file made with the cluster, shown by nobody.

Carried by SaslHandshake and SaslAuthenticate with a mechanism of our own, which is not offered to
clients:

    dialler  -> nonce (16 bytes) and its broker id
    listener -> nonce (16 bytes) and HMAC-SHA256(secret, "listener", both nonces, the id)
    dialler  -> HMAC-SHA256(secret, "dialler", both nonces, the id)
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from kafka_protocol.messages.k36_sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)

MECHANISM = "KAFKARIUM-CLUSTER"
SECRET_FILE = "cluster.secret"
NONCE_BYTES = 16
SECRET_BYTES = 32


def make_secret(folder: Path) -> None:
    """Write a new secret, readable by its owner only, unless the folder has one."""
    path = folder / SECRET_FILE
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(fd, "w") as f:
        f.write(secrets.token_hex(SECRET_BYTES))


def find_secret(*folders: Path) -> bytes:
    """The secret in the first of the folders that has one; made in the last when none has."""
    for folder in folders:
        path = folder / SECRET_FILE
        if path.exists():
            return bytes.fromhex(path.read_text().strip())
    make_secret(folders[-1])
    return bytes.fromhex((folders[-1] / SECRET_FILE).read_text().strip())


def proof(
    secret: bytes, side: str, dialler_nonce: bytes, listener_nonce: bytes, broker_id: int
) -> bytes:
    text = b"|".join([side.encode(), dialler_nonce, listener_nonce, str(broker_id).encode()])
    return hmac.digest(secret, text, "sha256")


class Authentication:
    """The listener's side."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def answer(self, connection: Any, message: Any) -> tuple[Any, int, str]:
        """(response, the broker id once it is proved, why the connection is to be closed).

        ``connection.challenge`` keeps what was asked between the two steps.
        """
        if isinstance(message, SaslHandshakeRequest):
            if message.mechanism != MECHANISM:
                reason = (
                    f"it asked for the mechanism {message.mechanism[:40]!r}, which is not offered"
                )
                return SaslHandshakeResponse(ErrorCode.UNSUPPORTED_SASL_MECHANISM, []), -1, reason
            connection.challenge = b""
            return SaslHandshakeResponse(0, [MECHANISM]), -1, ""
        assert isinstance(message, SaslAuthenticateRequest)
        said: bytes = message.auth_bytes
        if connection.challenge == b"" and len(said) > NONCE_BYTES and said[NONCE_BYTES:].isdigit():
            broker_id = int(said[NONCE_BYTES:])
            nonce = secrets.token_bytes(NONCE_BYTES)
            dialler_nonce = bytes(said[:NONCE_BYTES])
            connection.challenge = (
                proof(self._secret, "dialler", dialler_nonce, nonce, broker_id) + said[NONCE_BYTES:]
            )
            shown = nonce + proof(self._secret, "listener", dialler_nonce, nonce, broker_id)
            return SaslAuthenticateResponse(auth_bytes=shown), -1, ""
        if connection.challenge:
            expected, broker_text = connection.challenge[:32], connection.challenge[32:]
            connection.challenge = None
            if hmac.compare_digest(expected, said):
                return SaslAuthenticateResponse(), int(broker_text), ""
        refusal = SaslAuthenticateResponse(
            ErrorCode.SASL_AUTHENTICATION_FAILED, "Authentication failed."
        )
        return refusal, -1, "it failed to prove that it is a broker of this cluster"


class Proving:
    """The dialler's side: what to say next."""

    def __init__(self, secret: bytes, broker_id: int) -> None:
        self._secret = secret
        self._broker_id = broker_id
        self._nonce = secrets.token_bytes(NONCE_BYTES)

    def first(self) -> bytes:
        return self._nonce + str(self._broker_id).encode()

    def second(self, shown: bytes) -> bytes | None:
        """The last word, or None when the listener is not of this cluster."""
        nonce, mark = shown[:NONCE_BYTES], shown[NONCE_BYTES:]
        if not hmac.compare_digest(
            mark, proof(self._secret, "listener", self._nonce, nonce, self._broker_id)
        ):
            return None
        return proof(self._secret, "dialler", self._nonce, nonce, self._broker_id)
