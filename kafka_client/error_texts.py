"""Kafka's error codes in words: what each means, and what to do next.

The first line of an entry has the code's name and what it means, as the end of a sentence: "Cannot
delete topic orders: ...". ``(retriable)`` marks codes that may go away when the request is sent
again. The indented line is the next step; some codes have none.
"""

from __future__ import annotations

from typing import NamedTuple

from kafka_protocol.errors import ErrorCode

_TEXTS = """
UNKNOWN_SERVER_ERROR: the broker failed and gave no reason
    The broker's log has the reason.
OFFSET_OUT_OF_RANGE: the offset is outside the log
    Read from earliest: old records may be gone.
CORRUPT_MESSAGE (retriable): the broker found the data damaged
    Try again in a moment.
UNKNOWN_TOPIC_OR_PARTITION (retriable): there is no such topic or partition
    Refresh: it may just have been deleted, or created on another cluster.
LEADER_NOT_AVAILABLE (retriable): the partition has no leader now
    Wait for a replica's broker to return.
NOT_LEADER_OR_FOLLOWER (retriable): the broker does not lead the partition any more
    Leadership is moving. Try again in a moment.
REQUEST_TIMED_OUT (retriable): the broker ran out of time
    See if it was done, then try again.
BROKER_NOT_AVAILABLE (retriable): the broker is not available
    Try again in a moment.
REPLICA_NOT_AVAILABLE (retriable): the replica is not available
    Try again in a moment.
MESSAGE_TOO_LARGE: the record is larger than the topic allows
    Raise max.message.bytes of the topic.
OFFSET_METADATA_TOO_LARGE: the metadata of the commit is too long
COORDINATOR_LOAD_IN_PROGRESS (retriable): the group's coordinator is still loading
    Try again in a moment.
COORDINATOR_NOT_AVAILABLE (retriable): the group has no coordinator now
    Try again in a moment.
NOT_COORDINATOR (retriable): the group's coordinator has moved
    Try again in a moment.
INVALID_TOPIC_EXCEPTION: the name cannot be a topic's
    Use at most 249 letters, digits, '.', '_' and '-'.
RECORD_LIST_TOO_LARGE: the batch is larger than a segment of the topic
    Send less at once.
NOT_ENOUGH_REPLICAS (retriable): fewer replicas are in sync than min.insync.replicas asks for
    Bring brokers back, or send with acks=1.
NOT_ENOUGH_REPLICAS_AFTER_APPEND (retriable): it was written, but to fewer in-sync replicas than \
min.insync.replicas asks for
    Sending it again may store it twice.
INVALID_REQUIRED_ACKS: acks can be 0, 1 or all
ILLEGAL_GENERATION: the group has rebalanced meanwhile
    Try again in a moment.
INVALID_GROUP_ID: the group's name is not valid
UNKNOWN_MEMBER_ID: the group has members, and only they may commit for it
    Stop the group's consumers first.
REBALANCE_IN_PROGRESS (retriable): the group is rebalancing
    Try again in a moment.
UNSUPPORTED_VERSION: the cluster does not offer this request in a version known here
TOPIC_ALREADY_EXISTS: a topic of this name exists already
    Choose another name.
INVALID_PARTITIONS: the number of partitions is not possible
    It can be raised, never lowered.
INVALID_REPLICATION_FACTOR: the replication factor is not possible
    It is from 1 to the number of brokers that are up.
INVALID_REPLICA_ASSIGNMENT: the placement of replicas is not possible
INVALID_CONFIG: a setting has a value that is not allowed
NOT_CONTROLLER (retriable): the controller has moved
    Try again in a moment.
INVALID_REQUEST: the broker found the request malformed
UNSUPPORTED_FOR_MESSAGE_FORMAT: the topic's record format is too old for it
POLICY_VIOLATION: a policy of the cluster forbids it
    Ask who runs the cluster.
KAFKA_STORAGE_ERROR (retriable): the broker has trouble with its disk
    Look at the broker's log and disk.
REASSIGNMENT_IN_PROGRESS: the partition is being moved
    Wait until the move is done.
NON_EMPTY_GROUP: the group still has members
    Stop its consumers first; they may take a minute to be noticed.
GROUP_ID_NOT_FOUND: there is no such group
    Refresh: it may just have been deleted, or created on another cluster.
LISTENER_NOT_FOUND (retriable): the leader has no listener of the kind this connection uses
TOPIC_DELETION_DISABLED: the cluster does not delete topics
    Set delete.topic.enable=true on it.
FENCED_LEADER_EPOCH (retriable): the leader has changed
    Leadership is moving. Try again in a moment.
UNKNOWN_LEADER_EPOCH (retriable): the broker does not know this leader yet
    Leadership is moving. Try again in a moment.
UNSUPPORTED_COMPRESSION_TYPE: the broker does not know this compression
    Choose another.
OFFSET_NOT_AVAILABLE (retriable): the new leader does not know its high watermark yet
    Try again in a moment.
PREFERRED_LEADER_NOT_AVAILABLE: the preferred leader is not available
    Start its broker first.
ELIGIBLE_LEADERS_NOT_AVAILABLE (retriable): no replica may lead now
    Start a broker of its in-sync set.
ELECTION_NOT_NEEDED: the leader is already the wanted one
GROUP_SUBSCRIBED_TO_TOPIC: consumers of the group still read the topic
    Stop them first.
INVALID_RECORD: the broker refused the record
    A compacted topic takes only records with a key.
THROTTLING_QUOTA_EXCEEDED (retriable): a quota of the cluster is used up
    Try again later.
UNKNOWN_TOPIC_ID (retriable): there is no topic with this id
    Refresh: it may just have been deleted, or created on another cluster.
"""


class ErrorText(NamedTuple):
    meaning: str
    retriable: bool
    next_step: str = ""


def _parse(table: str) -> dict[int, ErrorText]:
    texts: dict[int, ErrorText] = {}
    code = ErrorCode.NONE
    for line in table.strip().splitlines():
        if line.startswith(" "):
            texts[code] = texts[code]._replace(next_step=line.strip())
            continue
        head, meaning = line.split(": ", 1)
        name, _, mark = head.partition(" ")
        code = ErrorCode[name]
        texts[code] = ErrorText(meaning, mark == "(retriable)")
    return texts


TEXTS = _parse(_TEXTS)

DENIED: dict[int, tuple[str, str]] = {
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: ("topic", " --topic NAME"),
    ErrorCode.GROUP_AUTHORIZATION_FAILED: ("group", " --group NAME"),
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: ("cluster", " --cluster"),
    ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ("transactional id", ""),
    ErrorCode.DELEGATION_TOKEN_AUTHORIZATION_FAILED: ("delegation token", ""),
}
"""Missing permission: (on what, the option of kafka-acls that names it)."""

LOGIN: dict[int, tuple[str, str]] = {
    ErrorCode.UNSUPPORTED_SASL_MECHANISM: (
        "The broker does not offer this SASL mechanism.",
        "Choose one that it names, in the connection's settings.",
    ),
    ErrorCode.ILLEGAL_SASL_STATE: (
        "The broker expects a login of another kind.",
        "See if the security protocol fits the listener.",
    ),
    ErrorCode.SASL_AUTHENTICATION_FAILED: (
        "The broker refused user name or password.",
        "Check both in the connection's settings.",
    ),
}
"""Failed login: (sentence, next step)."""


def denied_step(code: int) -> str:
    """The next step for a missing permission."""
    what, option = DENIED[code]
    if option:
        command = f"kafka-acls --add --allow-principal ...{option}"
        return f"The {what} needs an ACL that allows it: {command}."
    if code == ErrorCode.DELEGATION_TOKEN_AUTHORIZATION_FAILED:
        return "The token's owner must allow it."
    return f"The {what} needs an ACL that allows it."
