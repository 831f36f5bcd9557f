"""Turn every way in which a library or a broker can fail into one of ``errors``, with a
sentence and a next step.

Kafka's codes come as numbers, from the wire and inside confluent-kafka's errors;
librdkafka adds its own negative ones. What a broker wrote goes to ``detail``, cut and
without control characters.
"""

from __future__ import annotations

import errno
import socket
import ssl
from enum import IntEnum

from kafka_client.error_texts import DENIED, LOGIN, TEXTS, denied_step
from kafka_client.errors import ClientError, Denied, Rejected, TimedOut, Unreachable, Unsupported
from kafka_protocol.errors import ErrorCode

DETAIL_LIMIT = 500


class LocalError(IntEnum):
    """librdkafka's own codes, those that this module distinguishes. A test compares them
    with the codes of confluent-kafka, whose import they save."""

    TRANSPORT = -195
    RESOLVE = -193
    MSG_TIMED_OUT = -192
    UNKNOWN_PARTITION = -190
    UNKNOWN_TOPIC = -188
    ALL_BROKERS_DOWN = -187
    TIMED_OUT = -185
    QUEUE_FULL = -184
    SSL = -181
    AUTHENTICATION = -169
    TIMED_OUT_QUEUE = -166


def clean(text: object, limit: int = DETAIL_LIMIT) -> str:
    """Foreign text as one safe line: control characters become spaces, length is
    bounded."""
    line = "".join(c if c.isprintable() else " " for c in str(text or "")[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def code_name(code: int) -> str:
    """Kafka's name of an error code; ``ERROR_500`` for one that is not known here."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"ERROR_{code}"


def from_code(code: int, doing: str, *, subject: str = "", detail: object = "") -> ClientError:
    """The error for a Kafka code other than 0. ``doing`` completes "Cannot ...":
    "delete topic orders"."""
    text = clean(detail)
    if code in DENIED:
        sentence = f"Cannot {doing}: no permission on this {DENIED[code][0]}."
        return Denied(sentence, next_step=denied_step(code), subject=subject, detail=text)
    if code in LOGIN:
        sentence, step = LOGIN[code]
        return Denied(sentence, next_step=step, subject=subject, detail=text)
    name = code_name(code)
    known = TEXTS.get(code)
    sentence = f"Cannot {doing}: {known.meaning if known else f'the broker answered {name}'}."
    step = known.next_step if known else ""
    match code:
        case ErrorCode.UNSUPPORTED_VERSION:
            return Unsupported(sentence, next_step=step, subject=subject, detail=text)
        case ErrorCode.REQUEST_TIMED_OUT:
            return TimedOut(sentence, next_step=step, subject=subject, detail=text)
    return Rejected(
        sentence,
        code=code,
        name=name,
        retriable=known.retriable if known else False,
        next_step=step,
        subject=subject,
        detail=text,
    )


def from_confluent(code: int, text: object, doing: str, *, subject: str = "") -> ClientError:
    """The error for a ``KafkaError`` of confluent-kafka: its ``code()`` and
    ``str()``."""
    detail = clean(text)
    match code:
        case LocalError.TIMED_OUT | LocalError.MSG_TIMED_OUT | LocalError.TIMED_OUT_QUEUE:
            return TimedOut(
                f"Cannot {doing}: no answer in time.",
                next_step="See if the brokers are up; a change may have been carried out anyway.",
                subject=subject,
                detail=detail,
            )
        case LocalError.TRANSPORT | LocalError.ALL_BROKERS_DOWN | LocalError.RESOLVE:
            return Unreachable(
                f"Cannot {doing}: no broker can be reached.",
                next_step="See if the brokers are up and the addresses right.",
                subject=subject,
                detail=detail,
            )
        case LocalError.SSL:
            return Unreachable(
                f"Cannot {doing}: the TLS handshake failed.",
                next_step="Check the CA certificate and the security protocol.",
                subject=subject,
                detail=detail,
            )
        case LocalError.AUTHENTICATION:
            code = ErrorCode.SASL_AUTHENTICATION_FAILED
        case LocalError.UNKNOWN_TOPIC | LocalError.UNKNOWN_PARTITION:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        case LocalError.QUEUE_FULL:
            return Rejected(
                f"Cannot {doing}: the send queue is full.",
                code=code,
                name="_QUEUE_FULL",
                retriable=True,
                next_step="Send less at once.",
                subject=subject,
                detail=detail,
            )
        case _ if code < ErrorCode.UNKNOWN_SERVER_ERROR:
            sentence = f"Cannot {doing}: {detail}."
            return Rejected(
                sentence, code=code, name=f"LOCAL_{-code}", subject=subject, detail=detail
            )
    return from_code(code, doing, subject=subject, detail=detail)


def from_os_error(error: BaseException, address: str, stage: str = "connect") -> Unreachable:
    """The error for a socket that could not be opened, or broke while in use: which
    address, at which stage, and why."""
    sentence, step = _socket_failure(error, address, stage)
    return Unreachable(sentence, next_step=step, subject=address, detail=clean(error))


def _socket_failure(error: BaseException, address: str, stage: str) -> tuple[str, str]:
    """(sentence, next step)."""
    match error:
        # The order matters: most of these are kinds of OSError, some of each other.
        case ssl.SSLCertVerificationError():
            reason = clean(error.verify_message, 120)
            return (
                f"{address} shows a certificate that is not trusted: {reason}.",
                "Give the CA certificate that signed it, and check the host name.",
            )
        case ssl.SSLError():
            return (
                f"{address} does not speak TLS the way this connection does.",
                "Check the security protocol: a plain listener needs PLAINTEXT or SASL_PLAINTEXT.",
            )
        case socket.gaierror():
            return (
                f"The name in {address} cannot be resolved.",
                "Check the spelling, the DNS, or add the name to the address map.",
            )
        case TimeoutError():
            return (
                f"{address} does not answer.",
                "It may be stopped, frozen or behind a firewall.",
            )
        case ConnectionRefusedError():
            return f"Nothing listens on {address}.", "Start the broker, or check host and port."
        case ConnectionError() | EOFError():
            during = "" if stage == "connect" else f" during the {stage}"
            return (
                f"{address} closed the connection{during}.",
                "The broker may be starting or stopping, or it wants another security protocol.",
            )
        case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
            return f"There is no route to {address}.", "Check the network or the VPN."
    return f"{address} cannot be reached.", "Check host and port, and the network."
