"""The fuzzer itself: it lies where it says, repeats a seed, and notices what must not happen."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded_broker.shell.authentication import find_secret
from kafka_protocol import codec
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import ProtocolError
from kafka_protocol.framing import encode_request
from kafka_protocol.messages.k00_produce import ProduceRequest
from kafka_protocol.messages.k12_heartbeat import HeartbeatRequest
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest
from kafka_protocol.records.batch import CorruptBatch, batches
from tests.fuzz import __main__ as command
from tests.fuzz import batches as fuzz_batches
from tests.fuzz import lies, link
from tests.fuzz.cases import KINDS, make_case
from tests.fuzz.healthy import Healthy, Seen
from tests.fuzz.link import Found, Line, Link, due_for
from tests.fuzz.run import Report, read_logs
from tests.fuzz.samples import Known
from tests.unit.kafka_protocol.samples import ALL_MESSAGES, message_class, some_message


@pytest.mark.parametrize(("key", "part"), ALL_MESSAGES)
def test_that_without_lies_a_message_is_what_the_codec_writes(key: int, part: str) -> None:
    cls = message_class(key, part)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        message = some_message(random.Random(key), cls, version)
        assert lies.encoded(message, version) == bytes(codec.encode(message, version))


def test_that_most_lies_change_the_bytes_and_many_cannot_be_decoded() -> None:
    rng = random.Random(1)
    cls, version = ProduceRequest, 9
    changed = refused = 0
    for _ in range(300):
        message = some_message(rng, cls, version)
        data, told = lies.mutated(rng, message, version)
        assert told
        changed += data != lies.encoded(message, version)
        try:
            codec.decode(cls, version, data)
        except ProtocolError:
            refused += 1
    assert changed > 250
    assert 50 < refused < 250


def test_that_a_case_is_the_same_again() -> None:
    def sent(number: int) -> list[bytes]:
        _, steps = make_case(5, number, Known())
        # The times in batches are those of now, and their checksums follow.
        return [step.data for step in steps if step.data[4:6] != b"\x00\x00"]

    kinds = set()
    for number in range(60):
        kinds.add(make_case(5, number, Known())[0].kind)
        assert sent(number) == sent(number)
    assert kinds == set(KINDS)


def test_that_lying_batches_keep_a_right_checksum_mostly() -> None:
    rng = random.Random(2)
    right = 0
    for _ in range(200):
        try:
            right += all(True for _ in batches(fuzz_batches.lying(rng)))
        except CorruptBatch:
            continue
    assert right > 60


# ---- what must come back
def test_that_what_is_due_follows_from_the_frames() -> None:
    versions = bytes(encode_request(ApiVersionsRequest(), 3, 5, b""))
    no_acks = bytes(encode_request(ProduceRequest(acks=0), 9, 6, b""))
    unknown = b"\x00\x00\x00\x08\x00\x63\x00\x00\x00\x00\x00\x07"
    due, rest = due_for(no_acks + versions + versions[:-1])
    assert [(e.api_key, e.correlation_id) for e in due] == [(ApiKey.API_VERSIONS, 5)]
    assert rest == versions[:-1]
    assert due_for(unknown + versions) == ([], b"")  # the connection is closed before


@contextmanager
def answering(answer: bytes | None) -> Iterator[tuple[str, int]]:
    """Listen, and answer the first request with these bytes; with nothing, for None."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as keep:
        accepted = [keep]

        def serve() -> None:
            sock, _ = listener.accept()
            accepted.append(sock)
            sock.recv(4_096)
            if answer is not None:
                sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[:2]
        finally:
            thread.join(5)
            for sock in accepted:
                sock.close()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00", "correlation id 8"),
        (b"\x00\x00\x00\x07\x00", "does not parse"),
        (b"\x00\x00\x00\x07" + b"\x00" * 7, "does not parse"),
        (None, "no answer"),
    ],
)
def test_that_a_wrong_answer_and_silence_are_findings(
    body: bytes | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.3)
    answer = None if body is None else struct.pack(">i", len(body)) + body
    with answering(answer) as address:
        line = Line(address, None)
        line.send(bytes(encode_request(HeartbeatRequest(), 1, 7, b"")))
        with pytest.raises(Found, match=found):
            line.read()
        line.close()


def test_that_a_closed_connection_is_no_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closer = threading.Thread(target=lambda: listener.accept()[0].close())
        closer.start()
        attacker = Link(listener.getsockname()[:2])
        data = bytes(encode_request(HeartbeatRequest(), 1, 7, b""))
        assert attacker.perform(link.Step(data)) == []
        attacker.close()
        closer.join(5)


# ---- what the healthy client and the logs must show
def test_that_a_lost_record_and_a_slow_call_are_findings() -> None:
    client = Healthy.__new__(Healthy)  # without its threads
    client.produced, client.fetched = Seen(), Seen()
    client.produced.acknowledged = {0: b"a", 1: b"b"}
    client.fetched.consumed = {0: b"a"}
    client.produced.slowest_s = 2.5
    missing, slow = client.findings(2.0)
    assert "missing or differ: [1]" in missing
    assert "waited 2.50 s" in slow
    client.fetched.consumed[1] = b"b"
    assert client.findings(3.0) == []


def test_that_a_traceback_is_a_finding_and_a_failed_request_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "broker-1" / "broker.log"
    log.parent.mkdir()
    log.write_text("2026 ERROR Internal error while handling FETCH version 4 of h: KeyError: 1\n")
    report = Report(1)
    read_logs(tmp_path, report)
    assert len(report.failed_requests) == 1 and not report.findings
    log.write_text("2026 ERROR   Traceback (most recent call last):\n")
    read_logs(tmp_path, report)
    assert len(report.findings) == 1
    log.write_text(f"the secret is {find_secret(tmp_path).hex()}")
    read_logs(tmp_path, report)
    assert "has the cluster's secret" in report.findings[1]


@pytest.mark.integration
def test_that_brokers_survive_a_short_attack(tmp_path: Path) -> None:
    assert command.main(["--seed", "20", "--cases", "300", "--folder", str(tmp_path)]) == 0
