from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from embedded_broker.core.events import ConnectionClosed
from embedded_broker.shell import connection
from embedded_broker.shell.metadata_cache import MetadataCache
from embedded_broker.shell.server import Limits
from kafka_protocol.errors import ErrorCode
from kafka_protocol.framing import encode_request
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from kafka_protocol.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest
from tests.unit.embedded_broker.shell.fakes import Served, framed, header, served
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed


def produce(data: bytes, acks: int = 1) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        topic_data=[TopicProduceData("t", partition_data=[PartitionProduceData(0, data)])],
    )


def fetch(offset: int) -> FetchRequest:
    return FetchRequest(
        topics=[FetchTopic("t", partitions=[FetchPartition(0, fetch_offset=offset)])]
    )


@pytest.mark.parametrize("size", [10, 7_000, 20_000, 70_000, 1_000_000, 5_000_000])
def test_that_batches_of_every_size_come_back_as_they_were(broker: Served, size: int) -> None:
    client = broker.connect()
    data = batch(0, 3, bytes(range(256)) * (size // 256) + b"z" * (size % 256))
    for i in range(3):
        answer = client.ask(produce(data), 7)
        assert answer.responses[0].partition_responses[0].base_offset == 3 * i
    for version in (4, 11, 12, 16):
        got = client.ask(fetch(3), version).responses[0].partitions[0].records
        assert [(h.base_offset, h.record_count) for h in parsed(bytes(got))] == [(3, 3), (6, 3)]
        assert bytes(got[61 : len(data)]) == data[61:]
    client.close()


def test_that_produce_requests_are_pipelined_and_answered_in_order(broker: Served) -> None:
    client = broker.connect()
    ids = [client.send(produce(batch(0)), 7) for _ in range(200)]
    answers = [client.answer(0, 7) for _ in ids]
    assert [a[0] for a in answers if a] == ids
    assert [a[1].responses[0].partition_responses[0].base_offset for a in answers if a] == list(
        range(200)
    )
    client.close()


def test_that_a_request_behind_one_that_waits_is_answered_after_it(broker: Served) -> None:
    broker.node.delay_ms = 50
    client = broker.connect()
    first = client.send(MetadataRequest(), 9)
    second = client.send(produce(batch(0)), 7)
    big = client.send(produce(batch(0, 1, b"b" * 300_000)), 7)
    broker.node.wait_for(lambda: broker.node.callers)
    assert broker.node.log.log_end_offset == 0
    assert [client.answered(3, 9)[0], client.answered(0, 7)[0], client.answered(0, 7)[0]] == [
        first,
        second,
        big,
    ]
    assert broker.node.log.log_end_offset == 2
    client.close()


def test_that_acks_zero_has_no_answer(broker: Served) -> None:
    client = broker.connect()
    client.send(produce(batch(0), acks=0), 7)
    assert client.ask(produce(batch(0)), 7).responses[0].partition_responses[0].base_offset == 1
    client.close()


def test_that_frames_split_at_every_byte_are_put_together(broker: Served) -> None:
    client = broker.connect()
    data = framed(header(18, 0)) + framed(header(3, 1) + b"\xff\xff\xff\xff")
    for i in range(len(data)):
        client.raw(data[i : i + 1])
    assert client.answer(18, 0) is not None
    assert client.answer(3, 1) is not None
    client.close()


def test_that_the_core_is_notified_of_a_client_that_leaves_while_it_waits(broker: Served) -> None:
    broker.node.delay_ms = 300
    client = broker.connect()
    client.send(MetadataRequest(), 9)
    broker.node.wait_for(lambda: broker.node.callers)
    client.close()
    broker.node.wait_for(lambda: ConnectionClosed(1) in broker.node.events)
    assert not broker.inside(lambda: broker.runner.server.connections)


def test_that_a_slow_reader_holds_back_only_itself(broker: Served) -> None:
    client, other = broker.connect(), broker.connect()
    for _ in range(8):
        client.ask(produce(batch(0, 1, b"s" * 4_000_000)), 7)
    for _ in range(5):
        client.send(fetch(0), 11)
    for _ in range(20):
        other.ask(MetadataRequest(), 9)
    sizes = [len(client.answered(1, 11)[1].responses[0].partitions[0].records) for _ in range(5)]
    assert sizes == [8 * 4_000_061] * 5
    client.close()
    other.close()


def test_that_a_flood_of_small_requests_does_not_starve_other_clients(broker: Served) -> None:
    flood, other = broker.connect(), broker.connect()
    flood.raw(framed(header(3, 1) + b"\xff\xff\xff\xff") * 5000)
    other.ask(MetadataRequest(), 9)
    assert len(broker.node.callers) < 4000
    assert all(flood.answer(3, 1) for _ in range(5000))
    flood.close()
    other.close()


def test_row_01_02_that_an_invalid_size_closes_the_connection(broker: Served) -> None:
    for size in (
        b"\xff\xff\xff\xff",
        b"\x80\x00\x00\x00",
        (100 * 1024 * 1024 + 1).to_bytes(4, "big"),
    ):
        client = broker.connect()
        client.raw(size + b"12345678")
        assert client.is_closed()
        client.close()


def test_row_02_that_the_bound_of_a_frame_is_the_setting(tmp_path: Path) -> None:
    with served(tmp_path, Limits(request_max_bytes=20_000)) as broker:
        healthy = broker.connect()
        for size, is_taken in ((20_000, True), (20_001, False), (90_000_000, False)):
            client = broker.connect()
            body = header(3, 1) + b"\x00\x00\x00\x01\x00\x01t"
            client.raw(size.to_bytes(4, "big") + body + bytes(min(size, 20_000) - len(body)))
            assert (client.frame() is not None) is is_taken
            if not is_taken:
                broker.log.wait_for(f"invalid frame size {size}")
            client.close()
        assert healthy.ask(MetadataRequest(), 9).cluster_id == "now"
        healthy.close()


def test_row_03_that_tls_and_http_close_with_a_hint(broker: Served) -> None:
    for hello, word in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
    ):
        client = broker.connect()
        client.raw(hello)
        assert client.is_closed()
        client.close()
        broker.log.wait_for(f"looks like {word}")


def test_row_04_that_a_missing_body_takes_no_memory_and_is_closed(tmp_path: Path) -> None:
    with served(tmp_path, Limits(frame_deadline_ms=200)) as broker:
        client = broker.connect()
        client.raw((90 * 1024 * 1024).to_bytes(4, "big") + header(0, 7) + b"x" * 1000)
        pool = broker.runner.server.shared.pool
        while not (in_use := broker.inside(lambda: pool.in_use)):
            continue  # each look is one wake-up of the loop: accept, then read
        assert in_use <= 131072
        assert client.is_closed()
        client.close()
        assert broker.inside(lambda: pool.in_use) == 0


def test_that_halves_of_frames_do_not_wait_for_each_other(broker: Served) -> None:
    pool = broker.runner.server.shared.pool
    broker.inside(lambda: setattr(pool, "limit", 300_000))
    topics = [MetadataRequestTopic(name="t" * 200) for _ in range(3_000)]
    frame = bytes(encode_request(MetadataRequest(topics), 9, 1, b"test"))
    clients = [broker.connect() for _ in range(6)]
    for client in clients:
        client.raw(frame[:200_000])
    while not broker.inside(lambda: pool.exhausted):
        continue  # each look is one wake-up of the loop
    for client in clients:
        threading.Thread(target=client.raw, args=(frame[200_000:],), daemon=True).start()
    for client in clients:
        assert client.answer(3, 9)
        client.close()
    assert broker.inside(lambda: pool.in_use) == 0


def test_row_05_that_a_frame_too_short_for_a_header_closes(broker: Served) -> None:
    for size in range(8):
        client = broker.connect()
        client.raw(framed(b"\x00\x12\x00\x00\x00\x00\x00\x01"[:size]) + b"\x00" * 8)
        assert client.is_closed()
        client.close()


def test_row_06_that_an_unknown_api_or_version_closes(broker: Served) -> None:
    for api_key, version in ((-1, 0), (999, 0), (4, 0), (3, 99), (3, -1), (0, 2), (1, 3)):
        client = broker.connect()
        client.raw(framed(header(api_key, version) + b"\x00" * 40))
        assert client.is_closed()
        client.close()


def test_row_07_that_an_unknown_version_of_api_versions_is_answered_in_version_0(
    broker: Served,
) -> None:
    client = broker.connect()
    client.raw(framed(header(18, 99) + b"\x00\x05abcde\x00"))
    found = client.answer(18, 0)
    assert found is not None
    assert found[1].error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(k.api_key, k.min_version, k.max_version) for k in found[1].api_keys] == [(18, 0, 4)]
    assert client.ask(ApiVersionsRequest("a", "1"), 3).error_code == 0
    client.close()


def test_row_09_10_11_that_a_malformed_body_closes_that_connection_only(broker: Served) -> None:
    healthy = broker.connect()
    bodies = [
        header(3, 1) + b"\x7f\xff\xff\xff",  # an array of two thousand million
        header(3, 1) + b"\xff\xff\xff\xfe",  # of minus two
        header(3, 1) + b"\x00\x00\x00\x01\xff\xf0",  # a string of a negative length
        header(3, 1) + b"\x00\x00\x00\x01\x00\x02\xff\xfe",  # not UTF-8
        header(3, 1) + b"\x00\x00\x00\x01\xff\xff",  # null, where that is not allowed
        header(3, 1) + b"\x00\x00\x00\x01\x00\x05abc",  # a string longer than the frame
        header(3, 9) + b"\x00\x02" + b"\x81\x80\x02" + b"t" * 32_768 + b"\x00\x00\x00\x00\x00",
        header(3, 9) + b"\xff\xff\xff\xff\xff\xff",  # a varint of more than five bytes
        header(3, 9) + b"\x00\x01\x00\x00\x00\x01\x00",  # a tag without its size
        header(3, 9) + b"\x00\x01\x05\x7fabc",  # a tag that says more than it has
        header(3, 1),
        header(3, 1, client_id=b"\xff\xff") + b"\xff\xff\xff\xff",
        b"\x00\x03\x00\x01\x00\x00\x00\x01\x40\x00abc",  # a client id longer than the frame
    ]
    for body in bodies:
        client = broker.connect()
        client.raw(framed(body))
        assert client.is_closed(), body
        client.close()
        assert healthy.ask(MetadataRequest(), 9).cluster_id == "now"
    healthy.close()


def test_row_12_that_a_client_that_never_reads_does_not_fill_memory(
    broker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection.MAX_OUT_BYTES <= 8 * 1024 * 1024
    monkeypatch.setattr(connection, "MAX_OUT_BYTES", 256 * 1024)
    client = broker.connect()
    client.ask(MetadataRequest(), 9)
    client.sock.setblocking(False)
    request = framed(header(18, 0)) * 2000

    def shrink_send_buffer() -> None:
        for accepted in broker.runner.server.connections.values():
            accepted.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    broker.inside(shrink_send_buffer)

    rest = request

    def unsent() -> int:
        """Send more requests, then return the size of the responses that wait in the broker."""
        nonlocal rest
        with suppress(BlockingIOError):  # the kernel's buffers are full, as the test wants them
            rest = rest[client.sock.send(rest) :] or request
        (accepted,) = broker.runner.server.connections.values()
        return broker.inside(lambda: accepted.out_bytes)

    deadline = time.monotonic() + 20
    while unsent() <= connection.MAX_OUT_BYTES:
        assert time.monotonic() < deadline
    assert max(unsent() for _ in range(100)) <= connection.MAX_OUT_BYTES + 64 * 1024
    client.close()


def test_row_13_that_connections_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    with served(tmp_path, Limits(max_connections_per_ip=3)) as broker:
        clients = [broker.connect() for _ in range(3)]
        for client in clients:
            client.ask(MetadataRequest(), 9)
        extra = broker.connect()
        assert extra.is_closed()
        clients[0].close()
        broker.node.wait_for(lambda: ConnectionClosed(1) in broker.node.events)
        again = broker.connect()
        again.ask(MetadataRequest(), 9)
        for client in (*clients[1:], extra, again):
            client.close()
    (tmp_path / "b").mkdir()
    with served(tmp_path / "b", Limits(max_connections=2)) as broker:
        clients = [broker.connect() for _ in range(2)]
        for client in clients:
            client.ask(MetadataRequest(), 9)
        extra = broker.connect()
        extra.send(MetadataRequest(), 9)
        assert extra.is_closed()
        for client in (*clients, extra):
            client.close()


def test_row_14_that_an_idle_connection_is_closed(tmp_path: Path) -> None:
    with served(tmp_path, Limits(idle_ms=200)) as broker:
        client = broker.connect()
        client.ask(MetadataRequest(), 9)
        began = time.monotonic()
        assert client.is_closed()
        assert time.monotonic() - began < 5
        client.close()


def test_row_16_that_an_unknown_mechanism_is_refused(broker: Served) -> None:
    from kafka_protocol.messages.k17_sasl_handshake import SaslHandshakeRequest

    client = broker.connect()
    assert (
        client.ask(SaslHandshakeRequest("PLAIN"), 1).error_code
        == ErrorCode.UNSUPPORTED_SASL_MECHANISM
    )
    assert client.is_closed()
    client.close()


def test_row_46_that_control_characters_are_escaped_in_the_log(
    broker: Served, tmp_path: Path
) -> None:
    client = broker.connect()
    client.raw(
        framed(header(3, 1, client_id=b"evil\n\x1b[31m{{" + b"y" * 10_000) + b"\x00\x00\x00\x09")
    )
    assert client.is_closed()
    client.close()
    broker.log.wait_for("evil")
    text = (tmp_path / "log").read_text()
    assert "evil" in text and "\x1b" not in text
    assert max(map(len, text.splitlines())) < 1000


def test_that_a_repeated_metadata_request_is_answered_from_the_cache(broker: Served) -> None:
    state = [1]
    broker.runner.server.metadata_cache = MetadataCache(lambda: state[0])
    client = broker.connect()
    for _ in range(5):
        assert client.ask(MetadataRequest(), 9).cluster_id == "now"
    assert len(broker.node.callers) == 1
    client.ask(MetadataRequest(), 8)
    assert len(broker.node.callers) == 2
    state[0] = 2
    client.ask(MetadataRequest(), 9)
    assert len(broker.node.callers) == 3
    client.close()


def test_that_a_response_that_cannot_be_encoded_closes_its_connection_only(broker: Served) -> None:
    other = broker.connect()
    for wrong in ("x" * 40_000, 7):
        client = broker.connect()
        broker.node.cluster_id = wrong  # type: ignore[assignment]
        client.send(MetadataRequest(), 9)
        assert client.answer(MetadataRequest.API_KEY, 9) is None
        client.close()
        broker.node.cluster_id = "now"
    broker.log.wait_for("cannot encode the response to METADATA version 9")
    assert other.ask(MetadataRequest(), 9).cluster_id == "now"
    other.close()
    assert broker.code is None
