"""What the attacker does: one case is a few steps of one kind, made from a seed and a number.

A case draws from a random generator of its own, so that it can be repeated without those before it
(but for the ids that it learns from the cluster).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from embedded_broker.core import api
from embedded_broker.shell.authentication import MECHANISM
from kafka_protocol import codec
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest
from kafka_protocol.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from tests.fuzz import batches, lies
from tests.fuzz.link import Step
from tests.fuzz.samples import GROUPS, TOPICS, Known, request

CLIENT_IDS = (b"fuzz", b"fuzz", b"", b"\xff\xfe", b"\x1b[31m\n", b"x" * 300)
GROUP_APIS = (
    ApiKey.JOIN_GROUP,
    ApiKey.JOIN_GROUP,
    ApiKey.SYNC_GROUP,
    ApiKey.HEARTBEAT,
    ApiKey.OFFSET_COMMIT,
    ApiKey.OFFSET_FETCH,
    ApiKey.LEAVE_GROUP,
    ApiKey.DESCRIBE_GROUPS,
    ApiKey.DELETE_GROUPS,
    ApiKey.OFFSET_DELETE,
)
TOPIC_APIS = (
    ApiKey.CREATE_TOPICS,
    ApiKey.DELETE_TOPICS,
    ApiKey.CREATE_PARTITIONS,
    ApiKey.METADATA,
    ApiKey.PRODUCE,
    ApiKey.FETCH,
    ApiKey.DELETE_RECORDS,
    ApiKey.ALTER_CONFIGS,
    ApiKey.INCREMENTAL_ALTER_CONFIGS,
    ApiKey.OFFSET_FOR_LEADER_EPOCH,
    ApiKey.LIST_OFFSETS,
)
BETWEEN_BROKERS = (*(key for key, one in api.TABLE.items() if one.between_brokers), ApiKey.FETCH)
CORRELATION_ID = 7


@dataclass
class Case:
    """One case: ``lies`` fills while its ``steps`` are made."""

    rng: random.Random
    known: Known
    kind: str = ""
    insider: bool = False
    """Whether it is of one who has proved to be a broker."""
    may_move: bool = False
    """Whether its requests go to the brokers that can carry them out, where there is one."""
    lies: list[str] = field(default_factory=list)

    # ---- frames
    def request(self, api_key: int, rate: float = 0.7, change: Any = None) -> bytes:
        """A frame with a plausible request of any version, which lies at this rate. ``change``
        may set its fields first."""
        rng = self.rng
        cls = codec.request_class(api_key)
        version = rng.randint(cls.MIN_VERSION, cls.MAX_VERSION)
        message = request(rng, self.known, cls, version)
        if change is not None:
            change(message)
        return self.frame(message, version, rate)

    def frame(self, message: Any, version: int, rate: float = 0.0) -> bytes:
        """The message as a frame, with lies at this rate."""
        name = type(message).__name__
        if self.rng.random() < rate:
            body, told = lies.mutated(self.rng, message, version)
            self.lies += [f"{name} {version}: {lie}" for lie in told]
        else:
            body = lies.encoded(message, version)
            self.lies.append(f"{name} {version}")
        return framed(self.header(message, version) + body)

    def header(self, message: Any, version: int) -> bytes:
        """The request's header; rarely its client id or its tags lie."""
        client_id = self.rng.choice(CLIENT_IDS) if self.rng.random() < 0.05 else b"fuzz"
        head = struct.pack(">hhih", message.API_KEY, version, CORRELATION_ID, len(client_id))
        tags = b""
        if version >= message.FLEXIBLE_SINCE:
            tags = self.rng.choice(lies.TAGS) if self.rng.random() < 0.02 else b"\x00"
        return head + client_id + tags


def framed(data: bytes) -> bytes:
    """The bytes as a frame."""
    return struct.pack(">i", len(data)) + data


def any_api(rng: random.Random, insider: bool = False) -> int:
    """An API that the brokers know, those between brokers and the login among them; an insider's
    is one between brokers, or the Fetch of a replica, mostly."""
    if insider and rng.random() < 0.8:
        return rng.choice(BETWEEN_BROKERS)
    return rng.choice(sorted((*api.TABLE, *api.AUTHENTICATION)))


# ---- kinds of cases
def single_requests(case: Case) -> Iterator[Step]:
    """A few requests of any API on one connection."""
    for _ in range(case.rng.choice((1, 1, 2, 4))):
        yield Step(case.request(any_api(case.rng, case.insider)))


def wrong_frames(case: Case) -> Iterator[Step]:
    """A frame that is cut, goes on, or has another size than it says; or a header that lies."""
    rng = case.rng
    data = bytearray(case.request(any_api(rng), rate=0.2))
    kind = rng.randrange(6)
    if kind == 0:
        data = data[: rng.randrange(len(data))]
    elif kind == 1:
        data = bytearray(framed(bytes(data[4:]) + rng.randbytes(rng.choice((1, 3, 400)))))
    elif kind == 2:
        wrong = rng.choice((-1, 0, 7, 8, 2**31 - 1, -(2**31), len(data) - 5, len(data) + 90))
        data[:4] = struct.pack(">i", wrong)
    elif kind == 3:
        struct.pack_into(">h", data, 4, rng.choice((-1, 4, 99, 32_767, any_api(rng))))
    elif kind == 4:
        struct.pack_into(">h", data, 6, rng.choice((-1, 0, 3, 20, 32_767, -(2**15))))
    else:
        for _ in range(rng.choice((1, 2, 10))):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
    case.lies.append(f"frame {kind}")
    if rng.random() < 0.1:  # byte by byte
        yield from (Step(bytes([byte]), read=False) for byte in data[:40])
        data = data[40:]
    yield Step(bytes(data))


def lying_batches(case: Case) -> Iterator[Step]:
    """Produce requests with batches that lie, of producers with and without ids."""
    rng = case.rng
    if rng.random() < 0.3:
        yield Step(case.request(ApiKey.INIT_PRODUCER_ID, rate=0.1))
    sequence = rng.choice((0, 0, 5, 2**31 - 3))
    for _ in range(rng.choice((1, 3, 7))):
        ids = {}
        if rng.random() < 0.6:
            ids = {
                "producer_id": case.known.some(rng, "producer_id", 1),
                "producer_epoch": case.known.some(rng, "producer_epoch", 0),
                "base_sequence": sequence,
            }
            # In order, again, with a gap, or after the largest one (0 follows 2^31 - 1).
            sequence = (sequence + rng.choice((0, 1, 1, 2, 5))) % 2**31
        data = (
            batches.lying(rng, **ids) if rng.random() < 0.6 else bytes(batches.honest(rng, **ids))
        )
        version = rng.randint(3, 12)
        parts = [PartitionProduceData(rng.choice((0, 0, 1)), data)]
        topics = [TopicProduceData(rng.choice(TOPICS), partition_data=parts)]
        message = ProduceRequest(None, rng.choice((-1, -1, 1, 0)), 500, topics)
        yield Step(case.frame(message, version, rate=0.05), read=rng.random() < 0.8)


def group_calls(case: Case) -> Iterator[Step]:
    """Members that join without a sync, commit for old generations, leave in between: requests of
    groups in any order, on up to three connections."""
    rng = case.rng
    group = rng.choice(GROUPS)

    def same_group(message: Any) -> None:
        if hasattr(message, "group_id"):
            message.group_id = group

    for _ in range(rng.choice((3, 6, 12))):
        key = rng.choice(GROUP_APIS)
        line = rng.randrange(3)
        if key == ApiKey.JOIN_GROUP and rng.random() < 0.6:
            member = str(case.known.some(rng, "member_id", ""))
            protocols = [JoinGroupRequestProtocol(rng.choice(("range", "x")), b"\x00\x01")]
            join = JoinGroupRequest(group, 6_000, rng.choice((50, 500)), member, None, "consumer")
            join.protocols = protocols
            data = case.frame(join, rng.randint(0, 9))
        else:
            data = case.request(key, rate=0.3, change=same_group)
        yield Step(data, line, read=rng.random() < 0.7, leave=rng.random() < 0.1)


def fetch_sessions(case: Case) -> Iterator[Step]:
    """Sessions that are made, followed in the wrong order, shared by connections, and left."""
    rng = case.rng
    for _ in range(rng.choice((2, 5, 9))):

        def session(message: Any) -> None:
            message.max_wait_ms = rng.choice((0, 0, 0, 50, 2**31 - 1))
            if rng.random() < 0.6 and hasattr(message, "session_epoch"):
                message.session_id = case.known.some(rng, "session_id", 0)
                message.session_epoch = rng.choice((1, 2, 3, 0, -1, 2**31 - 1))

        data = case.request(ApiKey.FETCH, rate=0.25, change=session)
        yield Step(data, rng.randrange(2), leave=rng.random() < 0.1)


def topic_changes(case: Case) -> Iterator[Step]:
    """Topics that are made, changed, read and deleted in any order."""
    for _ in range(case.rng.choice((2, 4, 8))):
        yield Step(case.request(case.rng.choice(TOPIC_APIS), rate=0.3), case.rng.randrange(2))


def logins(case: Case) -> Iterator[Step]:
    """A broker's login with steps left out, repeated, or with a proof that is none; then a request
    that only brokers may send."""
    rng = case.rng
    for _ in range(rng.choice((1, 2, 3, 4))):
        if rng.random() < 0.5:
            mechanism = rng.choice((MECHANISM, MECHANISM, "PLAIN", "x" * 3_000))
            message: Any = SaslHandshakeRequest(mechanism)
        else:
            message = SaslAuthenticateRequest(_proof(rng))
        yield Step(case.frame(message, rng.choice((0, 1)), rate=0.3))
    yield Step(case.request(any_api(rng), rate=0.2))


def _proof(rng: random.Random) -> bytes:
    nonce = rng.randbytes(rng.choice((16, 16, 16, 0, 15, 5_000)))
    broker = rng.choice(("1", "2", "99", "9" * 10, "9" * 5_000, "²", "-1", ""))
    listener = rng.choice(("1", "2", "3", "9" * 11, ""))
    lane = rng.choice(("control", "data", "", "x" * 300))
    text = f"{broker}>{listener}:{lane}".encode()
    return rng.choice((nonce + text, nonce + text, nonce, text, rng.randbytes(32)))


def bursts(case: Case) -> Iterator[Step]:
    """Many requests at once whose responses nobody reads; then the connection is left, or read."""
    rng = case.rng
    count = rng.choice((5, 50, 300))
    key = rng.choice((ApiKey.METADATA, ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.API_VERSIONS))
    data = b"".join(case.request(key, rate=0.02) for _ in range(count))
    yield Step(data, leave=rng.random() < 0.5, read=rng.random() < 0.5)


KINDS: dict[str, tuple[Callable[[Case], Iterator[Step]], int]] = {
    "single requests": (single_requests, 45),
    "wrong frames": (wrong_frames, 12),
    "lying batches": (lying_batches, 14),
    "group calls": (group_calls, 10),
    "fetch sessions": (fetch_sessions, 7),
    "topic changes": (topic_changes, 6),
    "logins": (logins, 5),
    "bursts": (bursts, 1),
}
"""Every kind with its weight."""


def make_case(
    seed: int, number: int, known: Known, insider: bool = False
) -> tuple[Case, Iterator[Step]]:
    """Return the case with this number, and its steps, which are made one by one."""
    rng = random.Random(f"{seed}:{number}")
    (name,) = rng.choices(list(KINDS), [weight for _, weight in KINDS.values()])
    case = Case(rng, known, name, insider)
    return case, KINDS[name][0](case)
