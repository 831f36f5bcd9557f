"""Passwords in the keyring: under names that nobody guesses, and gone with their connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import keyring
import keyring.backend
import keyring.errors
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.app import Application
from gui.connect_dialog import ConnectDialog
from gui.open_clusters import RECENT_KEPT
from gui.stored_secrets import new_reference
from kafka_client.profile import (
    ConnectionProfile,
    Protocol,
    load_profiles,
    save_profiles,
)
from kafka_client.secrets import KeyringSecrets
from tests.fakes.client import FakeClient

OLD = "orders/alice"
ORDERS = ConnectionProfile(
    "orders", ("one:9092",), Protocol.SASL_SSL, sasl_username="alice", sasl_password_ref=OLD
)


class Keyring(keyring.backend.KeyringBackend):
    """A keyring of the system that encrypts; its entries outlive the application."""

    priority = 1
    entries: ClassVar[dict[str, str]] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop(username, None) is None:
            raise keyring.errors.PasswordDeleteError(username)


@pytest.fixture
def entries() -> Iterator[dict[str, str]]:
    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    Keyring.entries.clear()
    yield Keyring.entries
    keyring.set_keyring(before)


@pytest.fixture
def start(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path, entries: dict[str, str]
) -> Iterator[Callable[[], Application]]:
    started: list[Application] = []

    def start() -> Application:
        application = Application(
            qapp,
            settings_path=tmp_path / "preferences.json",
            clusters_root=tmp_path / "clusters",
            make_client=lambda _: FakeClient(moving=False),
            secrets=KeyringSecrets(),
        )
        started.append(application)
        return application

    yield start
    for application in started:
        application.close()
        application.window.deleteLater()
        application.deleteLater()
    qapp.processEvents()


def test_that_a_secret_with_a_guessable_name_gets_a_random_one(
    start: Callable[[], Application], entries: dict[str, str], tmp_path: Path, qtbot: QtBot
) -> None:
    entries[OLD] = "s3cret"
    save_profiles(tmp_path / "connections.json", [ORDERS])
    start()
    qtbot.waitUntil(lambda: OLD not in entries, timeout=5000)
    (stored,) = load_profiles(tmp_path / "connections.json")
    assert entries == {stored.sasl_password_ref: "s3cret"}
    assert len(stored.sasl_password_ref) == 32 and "alice" not in stored.sasl_password_ref
    assert replace(stored, sasl_password_ref=OLD) == ORDERS


def test_that_a_secret_that_cannot_be_read_keeps_its_name(
    start: Callable[[], Application], entries: dict[str, str], tmp_path: Path, qtbot: QtBot
) -> None:
    """A keyring that stays locked, for example: it may open at the next start."""
    save_profiles(tmp_path / "connections.json", [ORDERS])
    application = start()
    qtbot.waitUntil(lambda: not application.tasks.running, timeout=5000)
    assert application.clusters.recent == [ORDERS] and not entries


def test_that_a_list_that_cannot_be_saved_keeps_its_secrets(
    start: Callable[[], Application],
    entries: dict[str, str],
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    entries[OLD] = "s3cret"
    save_profiles(tmp_path / "connections.json", [ORDERS])
    monkeypatch.setattr("gui.open_clusters.save_profiles", full)
    application = start()
    qtbot.waitUntil(lambda: not application.tasks.running, timeout=5000)
    application.clusters.forget(ORDERS)
    qtbot.waitUntil(lambda: not application.tasks.running, timeout=5000)
    assert entries == {OLD: "s3cret"}


def test_that_a_password_goes_with_its_connection(
    start: Callable[[], Application], entries: dict[str, str], qtbot: QtBot
) -> None:
    clusters = start().clusters
    kept = replace(ORDERS, name="kept", bootstrap_servers=("k:1",), sasl_password_ref="a" * 32)
    for profile in (kept, replace(ORDERS, sasl_password_ref=new_reference())):
        entries[profile.sasl_password_ref] = "s3cret"
        clusters.remember(profile)
    clusters.forget(clusters.recent[0])
    qtbot.waitUntil(lambda: list(entries) == ["a" * 32], timeout=5000)

    entries["c" * 32] = "other"
    clusters.remember(replace(kept, sasl_password_ref="c" * 32))
    qtbot.waitUntil(lambda: list(entries) == ["c" * 32], timeout=5000)

    for number in range(RECENT_KEPT):
        clusters.remember(ConnectionProfile(f"n{number}", (f"n{number}:9092",)))
    qtbot.waitUntil(lambda: not entries, timeout=5000)


def test_that_a_test_of_a_connection_leaves_nothing_in_the_keyring(
    start: Callable[[], Application], entries: dict[str, str], qtbot: QtBot
) -> None:
    application = start()
    application.window.show()
    application.open_connect_dialog()
    found: list[ConnectDialog] = []

    def shown() -> bool:
        found[:] = [d for d in application.window.findChildren(ConnectDialog) if d.isVisible()]
        return bool(found)

    qtbot.waitUntil(shown, timeout=5000)
    dialog = found[0]
    dialog.servers.setText("127.0.0.1:1")
    dialog.security.setCurrentIndex(dialog.security.findData(Protocol.SASL_PLAINTEXT))
    dialog.user.setText("alice")
    dialog.password.setText("s3cret")
    reference = dialog.profile().sasl_password_ref
    QTest.mouseClick(dialog.test, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: application.secrets.get(reference) == "s3cret", timeout=5000)
    qtbot.waitUntil(dialog.test.isEnabled, timeout=15_000)
    assert not entries
    QTest.mouseClick(dialog.connect_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(application.clusters.recent), timeout=5000)
    assert entries == {reference: "s3cret"}
