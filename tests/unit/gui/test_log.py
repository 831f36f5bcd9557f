"""The application's log: what reaches the file, what never does, and what happens when the file
cannot be written."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import qWarning

from gui import log
from gui.log import ApplicationLog
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol

logger = logging.getLogger("gui.some_page")


@pytest.fixture
def application_log(tmp_path: Path) -> Iterator[ApplicationLog]:
    installed = log.install("test", tmp_path / "log")
    yield installed
    installed.close()


def text_of(installed: ApplicationLog) -> str:
    assert installed.path is not None
    return installed.path.read_text(encoding="utf-8")


def test_that_a_named_logger_writes_to_the_file(application_log: ApplicationLog) -> None:
    logger.info("topic %s opened", "orders")
    line = text_of(application_log).splitlines()[-1]
    assert "INFO" in line and "gui.some_page" in line and line.endswith("topic orders opened")


def test_that_libraries_write_warnings_only(application_log: ApplicationLog) -> None:
    logging.getLogger("some_library").info("chatter")
    logging.getLogger("some_library").warning("deprecated")
    assert "chatter" not in text_of(application_log)
    assert "deprecated" in text_of(application_log)


def test_that_only_the_owner_can_read_the_file(application_log: ApplicationLog) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no permission bits")
    assert application_log.path is not None
    assert stat.S_IMODE(application_log.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "sasl.password=HUNTER2",
        "sasl.password = HUNTER2,x;y",
        "{'sasl.username': 'alice', 'sasl.password': 'HUNTER2 with a blank'}",
        '{"sasl.password": "quote\\" HUNTER2"}',
        "sasl.oauthbearer.client.secret: HUNTER2",
        'sasl.jaas.config=org.apache.Login required username="alice" password="a;HUNTER2";',
        "ssl.keystore.password=HUNTER2",
        "{'ssl.key.password': 'HUNTER2', 'ssl.key.location': '/k.pem'}",
        "ssl.key.pem=HUNTER2",
        "ssl.keystore.key: HUNTER2",
        "listener.name.sasl_ssl.ssl.truststore.password=HUNTER2",
        "https://alice:HUNTER2@registry.example:8081/subjects",
        "https://alice:sl/ash@HUNTER2@registry.example",
        "http://HUNTER2@registry.example",
        "Authorization: Bearer HUNTER2",
        "login(user='alice', password='HUNTER2')",
        "PASSWORD: HUNTER2",
        "access_token=HUNTER2&scope=all",
        "-----BEGIN RSA PRIVATE KEY-----\nHUNTER2\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nHUNTER2 and then the text was cut",
    ],
)
def test_that_a_secret_never_reaches_the_file(application_log: ApplicationLog, text: str) -> None:
    logger.warning("%s", text)
    logger.warning(text.replace("%", "%%"))
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logger.exception("the client failed with %s", text)
    written = text_of(application_log)
    assert "HUNTER2" not in written
    assert written.count(log.HIDDEN) >= 3


def test_that_a_whole_client_configuration_is_safe_to_log(application_log: ApplicationLog) -> None:
    profile = ConnectionProfile(
        "prod",
        ("broker:9093",),
        security_protocol=Protocol.SASL_SSL,
        sasl_mechanism=Mechanism.SCRAM_512,
        sasl_username="alice",
        sasl_password_ref="prod/sasl",
        key_path="/k.pem",
        certificate_path="/c.pem",
        key_password_ref="prod/key",
    )
    config = {
        "bootstrap.servers": "broker:9093",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.password": "HUNTER2",
        "ssl.key.password": "HUNTER2",
    }
    logger.error("cannot connect %r with %r", profile, config)
    written = text_of(application_log)
    assert "HUNTER2" not in written
    assert "broker:9093" in written, "what is no secret stays readable"
    assert "SCRAM-SHA-512" in written


def test_that_ordinary_text_is_left_alone() -> None:
    for text in (
        "api_key=18 version=3 of sasl.mechanism=PLAIN",
        "https://example.org/path?x=1",
        "topic orders: 3 partitions, partitioner=murmur2",
        "mail to alice@example.org",
        "SecretStorage: 3.5.0",
    ):
        assert log.redact(text) == text


def test_that_redacting_a_hostile_text_takes_no_time() -> None:
    texts = ["a." * 8000, "password" * 2000, "://" * 5000, "password='" * 1600, "sasl." * 3000]
    began = time.thread_time()
    for text in texts:
        log.redact(text)
    assert time.thread_time() - began < 1.0


def test_that_a_text_of_a_cluster_cannot_forge_a_line(application_log: ApplicationLog) -> None:
    logger.info("topic %s", "x\n2026-01-01 CRITICAL gui forged\x1b[2J")
    lines = text_of(application_log).splitlines()
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert "\\n2026-01-01" in lines[-1] and "\x1b" not in lines[-1]


def test_that_a_huge_message_is_cut(application_log: ApplicationLog) -> None:
    logger.info("%s", "x" * 5_000_000)
    assert len(text_of(application_log)) < log.RECORD_CHARACTERS + 2000


def test_that_the_files_are_bounded_in_size_and_number(
    application_log: ApplicationLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(900):
        logger.info("%s", "y" * 10_000)
    files = sorted(application_log.folder.iterdir())
    assert len(files) == log.FILES_KEPT
    assert all(file.stat().st_size <= log.FILE_BYTES for file in files)


def test_that_a_file_rotated_by_another_window_is_opened_anew(
    application_log: ApplicationLog,
) -> None:
    if os.name == "nt":
        pytest.skip("an open file cannot be renamed there")
    assert application_log.path is not None
    logger.info("before")
    application_log.path.rename(application_log.folder / "kafkarium.log.1")
    logger.info("after")
    assert "after" in text_of(application_log)
    assert "before" in (application_log.folder / "kafkarium.log.1").read_text()


def test_that_an_uncaught_exception_is_logged_with_its_traceback_and_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_on: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: passed_on.append(what[1]))
    installed = log.install("test", tmp_path)
    try:
        raise LookupError("nobody catches this; password=HUNTER2")
    except LookupError as error:
        sys.excepthook(type(error), error, error.__traceback__)
        assert passed_on == [error]
    finally:
        written = text_of(installed)
        installed.close()
    assert "CRITICAL" in written and "LookupError: nobody catches this" in written
    assert "test_log.py" in written, "the traceback names the place"
    assert "HUNTER2" not in written


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_that_an_uncaught_exception_of_a_thread_is_logged(application_log: ApplicationLog) -> None:
    def broken() -> None:
        raise LookupError("in a thread")

    thread = threading.Thread(target=broken, name="broken-worker")
    thread.start()
    thread.join()
    assert "broken-worker" in text_of(application_log)
    assert "LookupError: in a thread" in text_of(application_log)


def test_that_an_exception_of_a_callback_of_asyncio_is_logged(
    application_log: ApplicationLog,
) -> None:
    def broken() -> None:
        raise LookupError("in a callback")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(broken)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert "LookupError: in a callback" in text_of(application_log)


def test_that_messages_of_qt_are_logged(
    application_log: ApplicationLog, qtlog: object, capsys: pytest.CaptureFixture[str]
) -> None:
    application_log.take_qt_messages()
    qWarning("QPainter was not active; password=HUNTER2")
    written = text_of(application_log)
    assert "WARNING" in written and "qt.default" in written
    assert "QPainter was not active" in written and "HUNTER2" not in written
    assert "HUNTER2" not in capsys.readouterr().err


def test_that_a_warning_of_every_window_without_a_display_is_not_shown(
    application_log: ApplicationLog, qtlog: object, capsys: pytest.CaptureFixture[str]
) -> None:
    application_log.take_qt_messages()
    qWarning("This plugin does not support propagateSizeHints()")
    qWarning("QPainter was not active")
    assert capsys.readouterr().err == "QPainter was not active\n"
    assert "WARNING qt.default This plugin" not in text_of(application_log)


def test_that_a_folder_that_cannot_be_written_is_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    installed = log.install("test", tmp_path / "file" / "log")
    try:
        assert installed.path is None and "cannot be written" in installed.problem
        logger.error("this goes nowhere")
        logger.error("and so does this")
        assert capsys.readouterr().err.count("cannot be written") == 1
    finally:
        installed.close()


def test_that_a_full_disk_is_reported_once_and_the_log_ends(
    application_log: ApplicationLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log.LogFile, "shouldRollover", full)
    logger.info("one")
    logger.info("two")
    assert "No space left on device" in application_log.problem
    assert application_log.path is None
    assert capsys.readouterr().err.count("No space left") == 1


def test_that_closing_takes_every_hook_back(tmp_path: Path) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers = list(logging.getLogger().handlers)
    installed = log.install("test", tmp_path / "log")
    assert log.install("again", tmp_path / "elsewhere") is installed
    assert sys.excepthook is not before[0]
    installed.close()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before
    assert logging.getLogger().handlers == handlers
    assert log.installed() is None
