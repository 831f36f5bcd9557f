"""Valid requests, filled in by the names of their fields from what the cluster has and has said.

Ids that the brokers give out (members, sessions, producers, epochs) are learned from their
responses, so that mutated requests get past the first check. Topics and groups of the healthy
client are never among them: a valid request could delete them.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from typing import Any
from uuid import UUID

from kafka_protocol.fields import (
    BOOL,
    BYTES,
    FLOAT64,
    RECORDS,
    STRING,
    UINT16,
    UUID_,
    ZERO_UUID,
    Array,
    Kind,
    WireType,
    fields_in,
)
from tests.fuzz import batches

TOPICS = ("fuzz-a", "fuzz-b", "fuzz-c", "fuzz-compact")
"""Made at the start, and made again when a request has deleted one."""
NEW_TOPICS = ("fuzz-new-1", "fuzz-new-2", "fuzz-new-3")
GROUPS = ("fuzz-group-1", "fuzz-group-1", "fuzz-group-2", "fuzz-group-2", "fuzz-group-3", "")
LEARNED = (
    "member_id generation_id session_id producer_id producer_epoch leader_epoch high_watermark "
    "log_start_offset base_offset broker_epoch partition_epoch"
).split()
KEPT = 20
CONFIGS = (
    *("cleanup.policy", "retention.ms", "segment.bytes", "max.message.bytes", "no.such.setting"),
    *("min.insync.replicas", "compression.type", "message.timestamp.type", "flush.messages"),
)
CONFIG_VALUES = ("delete", "compact", "1", "0", "-1", "1048576", "gzip", "LogAppendTime", "x" * 999)
TOPIC_RESOURCE, BROKER_RESOURCE = 2, 4
SUBSCRIPTION = b"\x00\x01\x00\x00\x00\x01\x00\x06fuzz-a\xff\xff\xff\xff"


class Known:
    """What the attacker knows of the cluster."""

    def __init__(self) -> None:
        self.topic_ids: dict[str, UUID] = {}
        self.cluster_id = ""
        self.own_id = -1
        """The attacker's broker id, when it has proved to be a broker."""
        self.learned: dict[str, deque[Any]] = {name: deque(maxlen=KEPT) for name in LEARNED}

    def learn(self, response: Any) -> None:
        """Remember the ids of a response."""
        for name in response.__slots__:
            value = getattr(response, name)
            if name in self.learned:
                self.learned[name].append(value)
            elif isinstance(value, list):
                for item in value[:20]:
                    if hasattr(item, "__slots__") and hasattr(item, "__dataclass_fields__"):
                        self.learn(item)

    def some(self, rng: random.Random, name: str, default: Any) -> Any:
        """One of the learned values of a field, most often the newest; rarely the default."""
        # The same numbers are drawn whatever was learned, so that a case is the same again.
        pick, newest = rng.random(), rng.random() < 0.6
        values = self.learned[name]
        if not values or pick < 0.1:
            return default
        return values[-1] if newest else values[int(pick * len(values))]


def request(rng: random.Random, known: Known, cls: Any, version: int) -> Any:
    """A plausible request of this class and version."""
    return _structure(rng, known, cls, version)


def _structure(rng: random.Random, known: Known, cls: Any, version: int) -> Any:
    message = cls()
    for name, spec in fields_in(cls, version):
        nullable = version >= spec.nullable_since
        if nullable and rng.random() < (0.9 if name == "transactional_id" else 0.15):
            setattr(message, name, None)
            continue
        setattr(message, name, _value(rng, known, cls, name, spec.type, version))
    if hasattr(message, "resource_type"):
        _make_resource(rng, message)
    return message


def _make_resource(rng: random.Random, message: Any) -> None:
    """Name a topic mostly. Settings of brokers are only read: a valid change could be anything."""
    message.resource_type = TOPIC_RESOURCE
    message.resource_name = rng.choice((*TOPICS, "no-such-topic", ""))
    if hasattr(message, "configuration_keys") and rng.random() < 0.3:
        message.resource_type = BROKER_RESOURCE
        message.resource_name = rng.choice(("1", "2", "", "x", "99999999999"))


def _value(rng: random.Random, known: Known, cls: Any, name: str, t: WireType, version: int) -> Any:
    if isinstance(t, Array):
        seldom = name in ("configs", "assignments", "forgotten_topics_data")
        count = rng.choice((0, 0, 0, 1) if seldom else (0, 1, 1, 1, 2, 3))
        return [_value(rng, known, cls, name, t.item, version) for _ in range(count)]
    if not isinstance(t, Kind):
        return _structure(rng, known, t, version)
    if t is STRING:
        return _text(rng, known, cls.__name__, name)
    if t is RECORDS:
        data = batches.lying(rng) if rng.random() < 0.4 else batches.honest(rng)
        return bytes(data)
    if t is BYTES:
        return rng.choice((SUBSCRIPTION, b"", rng.randbytes(rng.choice((3, 50, 500)))))
    if t is UUID_:
        name_of_topic = rng.choice(TOPICS)
        return known.topic_ids.get(name_of_topic, ZERO_UUID) if name == "topic_id" else ZERO_UUID
    if t is BOOL:
        return rng.random() < 0.5
    if t is FLOAT64:
        return rng.random()
    return _cut(_number(rng, known, name), t)


def _text(rng: random.Random, known: Known, cls: str, name: str) -> str:
    if name.startswith(("group_id", "groups")) or name in ("key", "coordinator_keys"):
        return rng.choice(GROUPS)
    if name == "member_id":
        return str(known.some(rng, name, ""))
    if "Config" in cls and name in ("name", "configuration_keys"):
        return rng.choice(CONFIGS)
    if name in ("protocol_type", "protocol_name") or "Protocol" in cls:
        return "consumer" if name == "protocol_type" else rng.choice(("range", "range", "sticky"))
    if name == "value":
        return rng.choice(CONFIG_VALUES)
    if name == "cluster_id":
        return rng.choice((known.cluster_id, known.cluster_id, known.cluster_id, "other"))
    if name == "topic_name":
        return "__cluster_metadata"
    if name in ("topic", "topic_names", "name"):
        created = cls.startswith("Creatable")
        return rng.choice(NEW_TOPICS if created else (*TOPICS, *TOPICS, *NEW_TOPICS, "no-such"))
    if name == "transactional_id":
        return rng.choice(("", "text"))
    if name == "mechanism":
        return rng.choice(("PLAIN", "KAFKARIUM-CLUSTER", "GSSAPI", ""))
    return rng.choice(("", "text", "static-1", "é漢", "Stable", "classic"))


SMALL = (0, 0, 0, 1, 1, 2, -1, 7)
NUMBERS: dict[str, tuple[int, ...]] = {
    "acks": (-1, -1, -1, 1, 1, 0, 2),
    "timeout_ms": (100, 500, 1, 0),
    "max_wait_ms": (0, 0, 10, 100),
    "min_bytes": (0, 1, 1_000_000),
    "max_bytes": (1 << 20, 1_000, 0, 2**31 - 1),
    "partition_max_bytes": (1 << 20, 1, 0, 2**31 - 1),
    "session_timeout_ms": (6_000, 10_000, 100),
    "rebalance_timeout_ms": (200, 1_000, 10),
    "transaction_timeout_ms": (1_000, 60_000),
    "broker_id": (1, 2, 3, 77),
    "leader_id": (1, 2, 3, 77),
    "candidate_id": (1, 2, 3, 77),
    "voter_id": (1, 2, 3, 77),
    "replica_id": (-1, 1, 2, 99),
    "isolation_level": (0, 1),
    "key_type": (0, 0, 0, 1, 2),
    "num_partitions": (1, 3, 20, -1, 0, 20_000),
    "count": (4, 5, 8, 1, 20_000, -1),
    "replication_factor": (1, 3, -1, 99),
    "timestamp": (-1, -2, -3, -4, 0, 1_700_000_000_000, 2**63 - 1),
    "retention_time_ms": (-1, 0, 1_000, 2**63 - 1),
    "session_epoch": (0, 0, 1, 2, -1),
    "offset": (0, 1, -1, 5, 2**62),
    "fetch_offset": (0, 0, 1, 5, 10_000, -1),
    "committed_offset": (0, 1, 100, 2**62, -1),
    "config_operation": (0, 1, 2, 3, 9),
}
FROM = {
    "generation_id_or_member_epoch": "generation_id",
    "current_leader_epoch": "leader_epoch",
    "last_fetched_epoch": "leader_epoch",
    "replica_epoch": "leader_epoch",
    "last_offset_epoch": "leader_epoch",
    "last_offset": "high_watermark",
    "current_metadata_offset": "high_watermark",
    "previous_broker_epoch": "broker_epoch",
}


OWN_IDS = ("broker_id", "replica_id", "leader_id")


def _cut(number: int, t: Kind) -> int:
    """The number with the bits that the type has."""
    size = struct.calcsize(">" + t.code)
    low = (number & (1 << 8 * size) - 1).to_bytes(size, "big")
    return int.from_bytes(low, "big", signed=t is not UINT16)


def _number(rng: random.Random, known: Known, name: str) -> int:
    if name in OWN_IDS and rng.random() < 0.7:
        return known.own_id
    learned = FROM.get(name, name)
    if learned in known.learned:
        return int(known.some(rng, learned, rng.choice(SMALL)))
    return rng.choice(NUMBERS.get(name, SMALL))
