"""Every way a library can fail, as one of ``errors`` with a sentence and a next step: the only
place that knows both.

Kafka's codes come as numbers (from the wire, and inside confluent-kafka's errors); librdkafka
adds its own negative ones. What a broker wrote goes to ``detail``, cut and cleaned of control
characters.
"""

from __future__ import annotations

from typing import NamedTuple

from kafka_client.errors import ClientError, Denied, Rejected, TimedOut, Unreachable, Unsupported

DETAIL_LIMIT = 500


class _Entry(NamedTuple):
    name: str
    words: str
    next_step: str = ""
    retriable: bool = False


_MISSING = "Refresh: it may just have been deleted, or created on another cluster."
_SOON = "Try again in a moment."
_MOVED = "Leadership is moving. Try again in a moment."

CODES: dict[int, _Entry] = {
    -1: _Entry(
        "UNKNOWN_SERVER_ERROR",
        "the broker failed on it without saying why",
        "The broker's log has the reason.",
    ),
    1: _Entry(
        "OFFSET_OUT_OF_RANGE",
        "the offset is outside the log",
        "Read from earliest: old records may be gone.",
    ),
    2: _Entry("CORRUPT_MESSAGE", "the broker found the data damaged", _SOON, True),
    3: _Entry("UNKNOWN_TOPIC_OR_PARTITION", "there is no such topic or partition", _MISSING, True),
    5: _Entry(
        "LEADER_NOT_AVAILABLE",
        "the partition has no leader now",
        "Wait for a replica's broker to return.",
        True,
    ),
    6: _Entry(
        "NOT_LEADER_OR_FOLLOWER", "the broker does not lead the partition any more", _MOVED, True
    ),
    7: _Entry(
        "REQUEST_TIMED_OUT",
        "the broker ran out of time",
        "See if it was done, then try again.",
        True,
    ),
    8: _Entry("BROKER_NOT_AVAILABLE", "the broker is not available", _SOON, True),
    9: _Entry("REPLICA_NOT_AVAILABLE", "the replica is not available", _SOON, True),
    10: _Entry(
        "MESSAGE_TOO_LARGE",
        "the record is larger than the topic allows",
        "Raise max.message.bytes of the topic.",
    ),
    12: _Entry("OFFSET_METADATA_TOO_LARGE", "the text beside the offset is too long"),
    14: _Entry(
        "COORDINATOR_LOAD_IN_PROGRESS", "the group's coordinator is still loading", _SOON, True
    ),
    15: _Entry("COORDINATOR_NOT_AVAILABLE", "the group has no coordinator now", _SOON, True),
    16: _Entry("NOT_COORDINATOR", "the group's coordinator has moved", _SOON, True),
    17: _Entry(
        "INVALID_TOPIC_EXCEPTION",
        "the name cannot be a topic's",
        "Use at most 249 letters, digits, '.', '_' and '-'.",
    ),
    18: _Entry(
        "RECORD_LIST_TOO_LARGE",
        "the batch is larger than a segment of the topic",
        "Send less at once.",
    ),
    19: _Entry(
        "NOT_ENOUGH_REPLICAS",
        "fewer replicas are in sync than min.insync.replicas asks for",
        "Bring brokers back, or send with acks=1.",
        True,
    ),
    20: _Entry(
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "it was written, but to fewer in-sync replicas than min.insync.replicas asks for",
        "Sending it again may store it twice.",
        True,
    ),
    21: _Entry("INVALID_REQUIRED_ACKS", "acks can be 0, 1 or all"),
    22: _Entry("ILLEGAL_GENERATION", "the group has rebalanced meanwhile", _SOON),
    24: _Entry("INVALID_GROUP_ID", "the group's name is not valid"),
    25: _Entry(
        "UNKNOWN_MEMBER_ID",
        "the group has members of its own, who alone may commit for it",
        "Stop the group's consumers first.",
    ),
    27: _Entry("REBALANCE_IN_PROGRESS", "the group is rebalancing", _SOON, True),
    35: _Entry(
        "UNSUPPORTED_VERSION", "the cluster does not offer this request in a version known here"
    ),
    36: _Entry(
        "TOPIC_ALREADY_EXISTS", "a topic of this name exists already", "Choose another name."
    ),
    37: _Entry(
        "INVALID_PARTITIONS",
        "the number of partitions is not possible",
        "It can be raised, never lowered.",
    ),
    38: _Entry(
        "INVALID_REPLICATION_FACTOR",
        "the replication factor is not possible",
        "It is from 1 to the number of brokers that are up.",
    ),
    39: _Entry("INVALID_REPLICA_ASSIGNMENT", "the placement of replicas is not possible"),
    40: _Entry("INVALID_CONFIG", "a setting has a value that is not allowed"),
    41: _Entry("NOT_CONTROLLER", "the controller has moved", _SOON, True),
    42: _Entry("INVALID_REQUEST", "the broker found the request malformed"),
    43: _Entry("UNSUPPORTED_FOR_MESSAGE_FORMAT", "the topic's record format is too old for it"),
    44: _Entry(
        "POLICY_VIOLATION", "a policy of the cluster forbids it", "Ask who runs the cluster."
    ),
    56: _Entry(
        "KAFKA_STORAGE_ERROR",
        "the broker has trouble with its disk",
        "Look at the broker's log and disk.",
        True,
    ),
    60: _Entry(
        "REASSIGNMENT_IN_PROGRESS", "the partition is being moved", "Wait until the move is done."
    ),
    68: _Entry(
        "NON_EMPTY_GROUP",
        "the group still has members",
        "Stop its consumers first; they may take a minute to be noticed.",
    ),
    69: _Entry("GROUP_ID_NOT_FOUND", "there is no such group", _MISSING),
    72: _Entry(
        "LISTENER_NOT_FOUND",
        "the leader has no listener of the kind this connection uses",
        retriable=True,
    ),
    73: _Entry(
        "TOPIC_DELETION_DISABLED",
        "the cluster does not delete topics",
        "Set delete.topic.enable=true on it.",
    ),
    74: _Entry("FENCED_LEADER_EPOCH", "the leader has changed", _MOVED, True),
    75: _Entry("UNKNOWN_LEADER_EPOCH", "the broker does not know this leader yet", _MOVED, True),
    76: _Entry(
        "UNSUPPORTED_COMPRESSION_TYPE",
        "the broker does not know this compression",
        "Choose another.",
    ),
    78: _Entry(
        "OFFSET_NOT_AVAILABLE", "the new leader does not know its high watermark yet", _SOON, True
    ),
    80: _Entry(
        "PREFERRED_LEADER_NOT_AVAILABLE",
        "the preferred leader is not available",
        "Start its broker first.",
    ),
    83: _Entry(
        "ELIGIBLE_LEADERS_NOT_AVAILABLE",
        "no replica may lead now",
        "Start a broker of its in-sync set.",
        True,
    ),
    84: _Entry("ELECTION_NOT_NEEDED", "the leader is already the wanted one"),
    86: _Entry(
        "GROUP_SUBSCRIBED_TO_TOPIC",
        "consumers of the group still read the topic",
        "Stop them first.",
    ),
    87: _Entry(
        "INVALID_RECORD",
        "the broker refused the record",
        "A compacted topic takes only records with a key.",
    ),
    89: _Entry(
        "THROTTLING_QUOTA_EXCEEDED", "a quota of the cluster is used up", "Try again later.", True
    ),
    100: _Entry("UNKNOWN_TOPIC_ID", "there is no topic with this id", _MISSING, True),
}

_DENIED = {
    29: (
        "topic",
        "The topic needs an ACL that allows it: kafka-acls --add --allow-principal ... --topic NAME.",
    ),
    30: (
        "group",
        "The group needs an ACL that allows it: kafka-acls --add --allow-principal ... --group NAME.",
    ),
    31: (
        "cluster",
        "The cluster needs an ACL that allows it: kafka-acls --add --allow-principal ... --cluster.",
    ),
    53: ("transactional id", "The transactional id needs an ACL that allows it."),
    65: ("delegation token", "The token's owner must allow it."),
}

_SASL = {
    33: (
        "The broker does not offer this SASL mechanism.",
        "Choose one that it names, in the connection's settings.",
    ),
    34: (
        "The broker expects a login of another kind.",
        "See if the security protocol fits the listener.",
    ),
    58: ("The broker refused user name or password.", "Check both in the connection's settings."),
}

_CONFLUENT_TIMEOUTS = {-185, -192, -167}
"""_TIMED_OUT, _MSG_TIMED_OUT, _TIMED_OUT_QUEUE."""
_CONFLUENT_UNREACHABLE = {-195, -187, -193}
"""_TRANSPORT, _ALL_BROKERS_DOWN, _RESOLVE."""


def clean(text: object, limit: int = DETAIL_LIMIT) -> str:
    """Foreign text as one safe line: control characters become spaces, length is bounded."""
    line = "".join(c if c.isprintable() else " " for c in str(text or "")[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def code_name(code: int) -> str:
    if code in CODES:
        return CODES[code].name
    try:
        from kio.schema.errors import ErrorCode

        return ErrorCode(code).name.upper()
    except (ImportError, ValueError):
        return f"ERROR_{code}"


def from_code(code: int, doing: str, *, subject: str = "", detail: object = "") -> ClientError:
    """The error for a Kafka code other than 0. ``doing`` completes "Cannot ...": "delete topic
    orders"."""
    text = clean(detail)
    if code in _DENIED:
        kind, step = _DENIED[code]
        return Denied(
            f"Cannot {doing}: no permission on this {kind}.",
            next_step=step,
            subject=subject,
            detail=text,
        )
    if code in _SASL:
        sentence, step = _SASL[code]
        return Denied(sentence, next_step=step, subject=subject, detail=text)
    if code == 35:
        return Unsupported(f"Cannot {doing}: {CODES[35].words}.", subject=subject, detail=text)
    if code == 7:
        late = CODES[7]
        return TimedOut(
            f"Cannot {doing}: {late.words}.", next_step=late.next_step, subject=subject, detail=text
        )
    entry = CODES.get(code)
    name = code_name(code)
    words = entry.words if entry else f"the broker answered {name}"
    return Rejected(
        f"Cannot {doing}: {words}.",
        code=code,
        name=name,
        retriable=entry.retriable if entry else False,
        next_step=entry.next_step if entry else "",
        subject=subject,
        detail=text,
    )


def from_confluent(code: int, text: object, doing: str, *, subject: str = "") -> ClientError:
    """The error for a ``KafkaError`` of confluent-kafka: its ``code()`` and ``str()``."""
    detail = clean(text)
    if code in _CONFLUENT_TIMEOUTS:
        return TimedOut(
            f"Cannot {doing}: no answer in time.",
            next_step="See if the brokers are up; a change may have been carried out nevertheless.",
            subject=subject,
            detail=detail,
        )
    if code in _CONFLUENT_UNREACHABLE:
        return Unreachable(
            f"Cannot {doing}: no broker can be reached.",
            next_step="See if the brokers are up and the addresses right.",
            subject=subject,
            detail=detail,
        )
    if code == -169:
        return Denied(_SASL[58][0], next_step=_SASL[58][1], subject=subject, detail=detail)
    if code == -181:
        return Unreachable(
            f"Cannot {doing}: the TLS handshake failed.",
            next_step="Check the CA certificate and the security protocol.",
            subject=subject,
            detail=detail,
        )
    if code in (-188, -190):
        return from_code(3, doing, subject=subject, detail=detail)
    if code == -184:
        return Rejected(
            f"Cannot {doing}: the send queue is full.",
            code=code,
            name="_QUEUE_FULL",
            retriable=True,
            next_step="Send less at once.",
            subject=subject,
            detail=detail,
        )
    if code < -1:
        return Rejected(
            f"Cannot {doing}: {detail}.",
            code=code,
            name=f"LOCAL_{-code}",
            subject=subject,
            detail=detail,
        )
    return from_code(code, doing, subject=subject, detail=detail)


def from_os_error(error: BaseException, address: str, stage: str = "connect") -> Unreachable:
    """The error for a socket that could not be opened or broke: which address, at which stage,
    and why in plain words."""
    import errno
    import socket
    import ssl

    where = address
    if isinstance(error, ssl.SSLCertVerificationError):
        sentence = (
            f"{where} shows a certificate that is not trusted: {clean(error.verify_message, 120)}."
        )
        step = "Give the CA certificate that signed it, and check the host name."
    elif isinstance(error, ssl.SSLError):
        sentence = f"{where} does not speak TLS the way this connection does."
        step = "Check the security protocol: a plain listener needs PLAINTEXT or SASL_PLAINTEXT."
    elif isinstance(error, socket.gaierror):
        sentence = f"The name in {where} cannot be resolved."
        step = "Check the spelling, the DNS, or add the name to the address map."
    elif isinstance(error, TimeoutError):
        sentence = f"{where} does not answer."
        step = "It may be stopped, frozen or behind a firewall."
    elif isinstance(error, ConnectionRefusedError):
        sentence = f"Nothing listens on {where}."
        step = "Start the broker, or check host and port."
    elif isinstance(error, (ConnectionError, EOFError)):
        sentence = (
            f"{where} closed the connection{' during the ' + stage if stage != 'connect' else ''}."
        )
        step = "The broker may be starting or stopping, or it wants another security protocol."
    elif isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        sentence = f"There is no route to {where}."
        step = "Check the network or the VPN."
    else:
        sentence = f"{where} cannot be reached."
        step = "Check host and port, and the network."
    return Unreachable(sentence, next_step=step, subject=address, detail=clean(error))
