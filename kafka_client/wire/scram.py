"""The client's side of SCRAM (RFC 5802, RFC 7677): a login that never sends the
password and makes the server prove that it knows the password too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from kafka_client.errors import Denied

ITERATIONS_MIN, ITERATIONS_MAX = 4096, 1_000_000
"""Fewer would weaken the password (RFC 7677); more would block the client for
seconds."""


class Scram:
    """One exchange: ``first`` is sent, ``proof`` answers the server's challenge,
    ``verify`` checks the server's signature."""

    def __init__(self, username: str, password: str, digest: str, nonce: str | None = None) -> None:
        self._password = password.encode()
        self._digest = digest
        self._nonce = nonce or base64.b64encode(os.urandom(24)).decode()
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._first_bare = f"n={name},r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        return b"n,," + self._first_bare.encode()

    def proof(self, challenge: bytes) -> bytes:
        """The client's final message.

        Raises:
            Denied: the challenge is malformed, belongs to another exchange, or asks for
            too little
                or too much work.
        """
        try:
            fields = _fields(challenge)
            nonce, rounds = fields["r"], int(fields["i"])
            salt = base64.b64decode(fields["s"], validate=True)
        except (ValueError, KeyError) as error:
            raise _distrust() from error
        # The server must append to the client's nonce, or the challenge may be a
        # replayed one.
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise _distrust()
        if not ITERATIONS_MIN <= rounds <= ITERATIONS_MAX:
            raise _distrust()
        salted = hashlib.pbkdf2_hmac(self._digest, self._password, salt, rounds)
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self._digest, client_key).digest()
        final = f"c=biws,r={nonce}"  # biws: base64 of "n,,", no channel binding
        auth_message = ",".join((self._first_bare, challenge.decode(), final)).encode()
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), auth_message)
        signature = self._hmac(stored_key, auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """Check the server's final message. Raises: Denied, when it does not know the
        password."""
        try:
            theirs = base64.b64decode(_fields(final)["v"], validate=True)
        except (ValueError, KeyError) as error:
            raise _distrust() from error
        if not hmac.compare_digest(theirs, self._server_signature):
            raise _distrust()

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._digest)


def _fields(message: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.decode().split(","))


def _distrust() -> Denied:
    return Denied(
        "The broker did not prove that it knows the password too, so the login was abandoned.",
        next_step="Make sure that the address is the right cluster's.",
    )
