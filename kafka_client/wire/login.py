"""TLS and SASL: how a connection proves who is who. PLAIN (RFC 4616) and SCRAM-SHA-256/512 (RFC
5802, 7677)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import ssl
from typing import TYPE_CHECKING

from kafka_client.error_map import clean, from_code
from kafka_client.errors import BadInput, Denied
from kafka_client.profile import ConnectionProfile, Mechanism
from kafka_client.secrets import Secrets

if TYPE_CHECKING:
    from kafka_client.wire.connection import Connection

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
LOGIN_TIMEOUT_S = 10.0
ITERATIONS_LEAST, ITERATIONS_MOST = 4096, 1_000_000


def tls_context(profile: ConnectionProfile, secrets: Secrets) -> ssl.SSLContext:
    """Raises: BadInput when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=profile.ca_path or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not profile.verify_hostname:
            context.check_hostname = False
        if profile.certificate_path:
            password = secrets.get(profile.key_password_ref) if profile.key_password_ref else None
            context.load_cert_chain(profile.certificate_path, profile.key_path, password or "")
    except (OSError, ssl.SSLError) as error:
        raise BadInput(
            "A certificate or key file of this connection cannot be used.",
            next_step="Pick the PEM files again; a key may need its password.",
            subject=profile.name,
            detail=clean(error),
        ) from error
    return context


async def log_in(connection: Connection, profile: ConnectionProfile, secrets: Secrets) -> None:
    """Raises: Denied, Unreachable."""
    password = secrets.get(profile.sasl_password_ref) if profile.sasl_password_ref else None
    if password is None:
        raise Denied(
            f"There is no password for {profile.sasl_username}.",
            next_step="Enter it in the connection.",
        )
    mechanism = profile.sasl_mechanism
    answer = await connection.ask(
        SASL_HANDSHAKE, {"mechanism": mechanism.value}, LOGIN_TIMEOUT_S, version=1
    )
    if answer.error_code:
        offered = ", ".join(clean(m, 40) for m in answer.mechanisms[:10])
        error = from_code(int(answer.error_code), "log in", subject=connection.subject)
        error.detail = f"It offers: {offered or 'none'}."
        raise error
    if mechanism is Mechanism.PLAIN:
        await _send(connection, f"\0{profile.sasl_username}\0{password}".encode())
        return
    scram = Scram(
        profile.sasl_username, password, "sha256" if mechanism is Mechanism.SCRAM_256 else "sha512"
    )
    challenge = await _send(connection, scram.first())
    final = await _send(connection, scram.proof(challenge))
    scram.verify(final)


async def _send(connection: Connection, body: bytes) -> bytes:
    version = min(1, connection.version(SASL_AUTHENTICATE))
    answer = await connection.ask(
        SASL_AUTHENTICATE, {"auth_bytes": body}, LOGIN_TIMEOUT_S, version=version
    )
    if answer.error_code:
        raise from_code(
            int(answer.error_code),
            "log in",
            subject=connection.subject,
            detail=answer.error_message or "",
        )
    return bytes(answer.auth_bytes)


class Scram:
    """The client's side of one SCRAM exchange: first -> proof -> verify."""

    def __init__(self, username: str, password: str, digest: str, nonce: str | None = None) -> None:
        self._password = password.encode()
        self._digest = digest
        self._nonce = nonce or base64.b64encode(os.urandom(24)).decode()
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return b"n,," + self._bare.encode()

    def proof(self, challenge: bytes) -> bytes:
        """Raises: Denied when the server's message is not one, or asks for too little or too much
        work."""
        try:
            fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
            nonce, salt, rounds = (
                fields["r"],
                base64.b64decode(fields["s"], validate=True),
                int(fields["i"]),
            )
        except (ValueError, KeyError) as error:
            raise _distrust() from error
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise _distrust()
        if not ITERATIONS_LEAST <= rounds <= ITERATIONS_MOST:
            raise _distrust()
        salted = hashlib.pbkdf2_hmac(self._digest, self._password, salt, rounds)
        client_key = hmac.digest(salted, b"Client Key", self._digest)
        stored_key = hashlib.new(self._digest, client_key).digest()
        bare = f"c=biws,r={nonce}"
        message = ",".join((self._bare, challenge.decode(), bare)).encode()
        signature = hmac.digest(stored_key, message, self._digest)
        self._signature = hmac.digest(
            hmac.digest(salted, b"Server Key", self._digest), message, self._digest
        )
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """The server must know the password too. Raises: Denied."""
        try:
            fields = dict(part.split("=", 1) for part in final.decode().split(","))
            theirs = base64.b64decode(fields["v"], validate=True)
        except (ValueError, KeyError) as error:
            raise _distrust() from error
        if not hmac.compare_digest(theirs, self._signature):
            raise _distrust()


def _distrust() -> Denied:
    return Denied(
        "The broker did not prove that it knows the password too; the login was given up.",
        next_step="Make sure that the address is the right cluster's.",
    )
