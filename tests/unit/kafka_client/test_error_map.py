"""Failures of brokers and libraries as sentences with a next step."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from confluent_kafka import KafkaError

from kafka_client.error_map import (
    LocalError,
    clean,
    code_name,
    from_code,
    from_confluent,
    from_os_error,
)
from kafka_client.error_texts import DENIED, LOGIN, TEXTS
from kafka_client.errors import Denied, Rejected, TimedOut, Unreachable, Unsupported
from kafka_protocol.errors import ErrorCode


def test_that_a_rejection_has_the_meaning_the_name_and_the_next_step() -> None:
    error = from_code(ErrorCode.NON_EMPTY_GROUP, "delete group g", subject="g", detail="x\x00y")
    assert isinstance(error, Rejected)
    assert str(error) == "Cannot delete group g: the group still has members."
    assert error.next_step == ("Stop its consumers first; they may take a minute to be noticed.")
    assert (error.code, error.name, error.retriable) == (68, "NON_EMPTY_GROUP", False)
    assert (error.subject, error.detail) == ("g", "x y")


def test_that_the_codes_that_may_go_away_are_retriable() -> None:
    retriable = {ErrorCode(code) for code, text in TEXTS.items() if text.retriable}
    assert {ErrorCode.NOT_COORDINATOR, ErrorCode.LEADER_NOT_AVAILABLE} <= retriable
    assert not retriable & {ErrorCode.INVALID_CONFIG, ErrorCode.OFFSET_OUT_OF_RANGE}


def test_that_every_text_reads_as_the_end_of_a_sentence() -> None:
    assert len(TEXTS) > 45
    for code, text in TEXTS.items():
        assert text.meaning[0].islower() and text.meaning[-1] not in ".:", ErrorCode(code).name
        assert not text.next_step or text.next_step.endswith("."), ErrorCode(code).name
    assert not set(TEXTS) & (set(DENIED) | set(LOGIN))


def test_that_a_code_of_a_newer_broker_is_named_by_its_number() -> None:
    error = from_code(999, "delete topic t")
    assert str(error) == "Cannot delete topic t: the broker answered ERROR_999."
    assert code_name(ErrorCode.DUPLICATE_VOTER) == "DUPLICATE_VOTER"


def test_that_missing_permissions_name_the_acl() -> None:
    error = from_code(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "read orders")
    assert isinstance(error, Denied)
    assert str(error) == "Cannot read orders: no permission on this topic."
    assert "kafka-acls --add --allow-principal ... --topic NAME." in error.next_step
    assert "--cluster." in from_code(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "x").next_step
    assert all(isinstance(from_code(code, "x"), Denied) for code in (*DENIED, *LOGIN))


def test_that_timeouts_and_missing_versions_have_types_of_their_own() -> None:
    assert isinstance(from_code(ErrorCode.REQUEST_TIMED_OUT, "x"), TimedOut)
    assert isinstance(from_code(ErrorCode.UNSUPPORTED_VERSION, "x"), Unsupported)


def test_that_librdkafkas_own_codes_are_confluent_kafkas() -> None:
    for code in LocalError:
        assert getattr(KafkaError, f"_{code.name}") == code


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (KafkaError._TIMED_OUT_QUEUE, TimedOut, "Cannot send: no answer in time."),
        (KafkaError._ALL_BROKERS_DOWN, Unreachable, "Cannot send: no broker can be reached."),
        (KafkaError._SSL, Unreachable, "Cannot send: the TLS handshake failed."),
        (KafkaError._AUTHENTICATION, Denied, "The broker refused user name or password."),
        (KafkaError._QUEUE_FULL, Rejected, "Cannot send: the send queue is full."),
        (
            KafkaError._UNKNOWN_TOPIC,
            Rejected,
            "Cannot send: there is no such topic or partition.",
        ),
        (KafkaError._BAD_MSG, Rejected, "Cannot send: words."),
        (3, Rejected, "Cannot send: there is no such topic or partition."),
        (-1, Rejected, "Cannot send: the broker failed and gave no reason."),
    ],
)
def test_that_confluent_kafkas_errors_become_the_clients(
    code: int, kind: type, sentence: str
) -> None:
    error = from_confluent(code, "words", "send")
    assert type(error) is kind and str(error) == sentence and error.detail == "words"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionRefusedError(), "Nothing listens on a:1."),
        (TimeoutError(), "a:1 does not answer."),
        (socket.gaierror(), "The name in a:1 cannot be resolved."),
        (ssl.SSLError(), "a:1 does not speak TLS the way this connection does."),
        (ConnectionResetError(), "a:1 closed the connection during the login."),
        (EOFError(), "a:1 closed the connection during the login."),
        (OSError(errno.EHOSTUNREACH, "x"), "There is no route to a:1."),
        (OSError(errno.EMFILE, "x"), "a:1 cannot be reached."),
    ],
)
def test_that_a_broken_socket_is_a_sentence(error: BaseException, sentence: str) -> None:
    problem = from_os_error(error, "a:1", "login")
    assert str(problem) == sentence and problem.next_step


def test_that_foreign_text_is_one_safe_line_of_bounded_length() -> None:
    assert clean("a\r\n\x1b[31mb") == "a   [31mb"
    assert clean("x" * 600) == "x" * 499 + "…"
    assert clean(None) == ""
