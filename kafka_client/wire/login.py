"""Prove who a new connection is: the TLS context, and SASL with PLAIN (RFC 4616)
or SCRAM.

``log_in`` sends its requests through a function that the connection hands in, so that
this module does not know connections.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from kafka_client.error_map import clean, from_code
from kafka_client.errors import BadInput, ClientError, Denied
from kafka_client.profile import ConnectionProfile, Mechanism
from kafka_client.secrets import Secrets
from kafka_client.wire.scram import Scram
from kafka_protocol.fields import Message
from kafka_protocol.messages.k17_sasl_handshake import (
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)
from kafka_protocol.messages.k36_sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)

Send = Callable[[Message], Awaitable[Any]]
"""Sends a request and returns its response. Raises: ClientError."""


def tls_context(profile: ConnectionProfile, secrets: Secrets) -> ssl.SSLContext:
    """The TLS settings of a profile. Raises: BadInput, when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=profile.ca_path or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = profile.checks_name
        if not profile.checks_certificate:
            context.verify_mode = ssl.CERT_NONE
        if profile.certificate_path:
            password = secrets.get(profile.key_password_ref) if profile.key_password_ref else None
            # Without a password OpenSSL would ask for one on the terminal: so it gets
            # an empty one.
            context.load_cert_chain(profile.certificate_path, profile.key_path, password or "")
    except (OSError, ssl.SSLError) as error:
        raise BadInput(
            "A certificate or key file of this connection cannot be used.",
            next_step="Pick the PEM files again; a key may need its password.",
            subject=profile.name,
            detail=clean(error),
        ) from error
    return context


async def log_in(send: Send, profile: ConnectionProfile, secrets: Secrets, subject: str) -> None:
    """Log in with the profile's SASL mechanism. ``subject`` is what errors name.

    Raises:
        Denied: no password, a mechanism that is not offered, wrong credentials, a
        server that does
            not know the password.
        ClientError: as ``send``.
    """
    password = secrets.get(profile.sasl_password_ref) if profile.sasl_password_ref else None
    if password is None:
        raise Denied(
            f"There is no password for {profile.sasl_username}.",
            next_step="Enter it in the connection.",
        )
    mechanism = profile.sasl_mechanism
    handshake: SaslHandshakeResponse = await send(SaslHandshakeRequest(mechanism.value))
    if handshake.error_code:
        raise _not_offered(handshake, subject)

    async def exchange(message: bytes) -> bytes:
        response: SaslAuthenticateResponse = await send(SaslAuthenticateRequest(message))
        if response.error_code:
            detail = response.error_message
            raise from_code(response.error_code, "log in", subject=subject, detail=detail)
        return response.auth_bytes

    if mechanism is Mechanism.PLAIN:
        await exchange(f"\0{profile.sasl_username}\0{password}".encode())
        return
    digest = "sha256" if mechanism is Mechanism.SCRAM_256 else "sha512"
    scram = Scram(profile.sasl_username, password, digest)
    challenge = await exchange(scram.first())
    scram.verify(await exchange(scram.proof(challenge)))


def _not_offered(handshake: SaslHandshakeResponse, subject: str) -> ClientError:
    offered = ", ".join(clean(name, 40) for name in handshake.mechanisms[:10])
    error = from_code(handshake.error_code, "log in", subject=subject)
    error.detail = f"It offers: {offered or 'none'}."
    return error
