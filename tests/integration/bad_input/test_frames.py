"""Bad frames and headers, and who may send what (docs/reliability.md, rows 1 to 16, 45, 46)."""

from __future__ import annotations

import pytest

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k18_api_versions import ApiVersionsRequest
from kafka_protocol.messages.k52_vote import VoteRequest
from kafka_protocol.messages.k63_broker_heartbeat import BrokerHeartbeatRequest
from tests.integration.bad_input.live import Live
from tests.unit.embedded_broker.shell.fakes import Client, framed, header


def test_row_01_02_03_05_06_11_that_a_bad_frame_closes_the_connection(live: Live) -> None:
    frames = {
        "01 size below zero": b"\xff\xff\xff\xff1234",
        "02 size over the limit": b"\x7f\xff\xff\xff1234",
        "03 TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "03 HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "05 size zero": b"\x00\x00\x00\x001234",
        "05 too short for a header": framed(b"\x00\x12\x00\x00"),
        "06 unknown api": framed(header(999, 0)),
        "06 unknown version": framed(header(3, 99)),
        "11 header only": framed(header(3, 5)),
    }
    for name, data in frames.items():
        client = live.connect()
        client.raw(data)
        assert client.is_closed(), name
        client.close()
    for word in ("looks like TLS", "looks like HTTP"):
        live.wait_for_line(word)


def test_row_04_that_an_announced_body_allocates_no_memory(live: Live) -> None:
    before = live.rss_bytes()
    clients = [live.connect() for _ in range(40)]
    for client in clients:
        client.raw((100 * 1024 * 1024).to_bytes(4, "big") + header(0, 9) + b"x" * 30_000)
    probe = live.connect()
    for _ in range(10):  # the broker reads the others' bytes before it has answered these
        assert probe.ask(ApiVersionsRequest("test", "1"), 3).error_code == 0
    probe.close()
    assert live.rss_bytes() - before < 16 * 1024 * 1024
    for client in clients:
        client.close()


def test_row_07_that_an_unknown_version_of_api_versions_is_answered(client: Client) -> None:
    client.raw(framed(header(18, 55) + b"whatever"))
    found = client.answer(18, 0)
    assert found is not None and found[1].error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [k.api_key for k in found[1].api_keys] == [18]
    assert client.ask(ApiVersionsRequest("test", "1"), 3).error_code == 0


def test_row_08_that_an_invalid_software_name_is_refused(client: Client) -> None:
    assert (
        client.ask(ApiVersionsRequest("{{name}}\x1b[2J", "1"), 3).error_code
        == ErrorCode.INVALID_REQUEST
    )


def test_row_09_10_that_a_forged_length_closes_the_connection(live: Live) -> None:
    bodies = [
        header(0, 7) + b"\xff\xff\xff\xff\x00\x00\x13\x88\x7f\xff\xff\xff",
        header(1, 4)
        + b"\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x7f\xff\xff\xff",
        header(3, 9) + b"\x00\xfe\xff\xff\xff\x0f",
        header(3, 1) + b"\x00\x00\x00\x01\x7f\xff",
        header(3, 1) + b"\x00\x00\x00\x01\x00\x03\xff\xfe\xfd",
        header(19, 5) + b"\x00\xff\xff\xff\xff\xff",
    ]
    for body in bodies:
        client = live.connect()
        client.raw(framed(body))
        assert client.is_closed(), body
        client.close()


def test_row_12_that_unread_responses_stop_the_reading_of_requests(live: Live) -> None:
    before = live.rss_bytes()
    client = live.connect()
    client.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            client.raw(framed(header(3, 1) + b"\xff\xff\xff\xff") * 500)
    assert live.rss_bytes() - before < 32 * 1024 * 1024
    client.close()


BETWEEN_BROKERS = {
    ApiKey.SASL_HANDSHAKE,
    ApiKey.SASL_AUTHENTICATE,
    ApiKey.VOTE,
    ApiKey.BEGIN_QUORUM_EPOCH,
    ApiKey.END_QUORUM_EPOCH,
    ApiKey.ALTER_PARTITION,
    ApiKey.BROKER_REGISTRATION,
    ApiKey.BROKER_HEARTBEAT,
    ApiKey.ALLOCATE_PRODUCER_IDS,
}


def test_row_45_that_a_client_may_not_send_what_brokers_send(live: Live) -> None:
    for request, version in ((VoteRequest(), 2), (BrokerHeartbeatRequest(1, 0, 0), 1)):
        client = live.connect()
        client.send(request, version)
        found = client.answer(request.API_KEY, version)
        assert found is not None
        assert found[1].error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        client.close()
    offered = live.connect()
    keys = {k.api_key for k in offered.ask(ApiVersionsRequest("test", "1"), 3).api_keys}
    assert not keys & BETWEEN_BROKERS
    offered.close()


def test_row_46_that_control_characters_are_escaped_in_the_log(live: Live) -> None:
    client = live.connect()
    client.raw(
        framed(
            header(3, 1, client_id=b"bad\r\n\x1b[31m{{ 7*7 }}" + b"y" * 10_000)
            + b"\x00\x00\x00\x09"
        )
    )
    assert client.is_closed()
    client.close()
    text = live.wait_for_line("{{ 7*7 }}")
    assert "\x1b" not in text and r"bad\r\n\x1b[31m" in text
