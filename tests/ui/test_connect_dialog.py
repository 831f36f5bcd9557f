"""The dialog to connect: what its fields become, what it refuses, and the test of a connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from gui.connect_dialog import ConnectDialog
from kafka_client.model import Broker
from kafka_client.profile import Environment, Protocol
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


@pytest.fixture
def dialog(window: Window) -> Iterator[ConnectDialog]:
    application = window.application
    window.clients.append(FakeClient(moving=False))
    made = ConnectDialog(
        application.theme,
        application.bridge,
        application.secrets,
        application.make_client,
        window.window,
    )
    made.open()
    yield made
    made.close()
    made.deleteLater()


def choose(dialog: ConnectDialog, protocol: Protocol) -> None:
    dialog.security.setCurrentIndex(dialog.security.findData(protocol))


def texts(dialog: ConnectDialog) -> str:
    labels = [label for label in dialog.findChildren(QLabel) if label.isVisible()]
    return "\n".join(label.text() for label in labels)


def press(dialog: ConnectDialog, name: str) -> None:
    button = {"test": dialog.test, "connect": dialog.connect_button}[name]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_that_the_fields_become_a_profile_and_the_password_goes_to_the_secrets(
    window: Window, dialog: ConnectDialog
) -> None:
    dialog.servers.setText("one:9092; two:9093")
    dialog.name.setText("orders")
    choose(dialog, Protocol.SASL_SSL)
    dialog.user.setText("alice")
    dialog.password.setText("s3cret")
    press(dialog, "connect")
    window.wait_until(lambda: dialog.accepted_profile is not None)
    profile = dialog.accepted_profile
    assert profile is not None
    assert (profile.name, profile.bootstrap_servers) == ("orders", ("one:9092", "two:9093"))
    assert (profile.security_protocol, profile.sasl_username) == (Protocol.SASL_SSL, "alice")
    assert window.application.secrets.get(profile.sasl_password_ref) == "s3cret"
    assert "s3cret" not in repr(profile)


def test_that_a_connection_without_an_address_is_refused_in_the_dialog(
    window: Window, dialog: ConnectDialog
) -> None:
    dialog.servers.setText(" ; ")
    press(dialog, "connect")
    window.wait_until(lambda: "at least one" in texts(dialog))
    assert dialog.isVisible() and dialog.accepted_profile is None
    assert dialog.connect_button.isEnabled()


def test_that_only_the_fields_of_the_chosen_security_show(dialog: ConnectDialog) -> None:
    shown = {}
    for protocol in Protocol:
        choose(dialog, protocol)
        shown[protocol] = (dialog.user.isVisible(), dialog.ca.isVisible())
    assert shown == {
        Protocol.PLAINTEXT: (False, False),
        Protocol.SSL: (False, True),
        Protocol.SASL_PLAINTEXT: (True, False),
        Protocol.SASL_SSL: (True, True),
    }


def test_that_production_is_read_only_until_a_person_says_otherwise(dialog: ConnectDialog) -> None:
    assert not dialog.read_only.isChecked()
    dialog.environment.setCurrentIndex(dialog.environment.findData(Environment.PRODUCTION))
    assert dialog.read_only.isChecked() and dialog.read_only.isEnabled()


def test_that_the_test_of_a_connection_says_where_it_failed_and_what_to_do(
    window: Window, dialog: ConnectDialog
) -> None:
    dialog.servers.setText("127.0.0.1:1")
    press(dialog, "test")
    assert not dialog.test.isEnabled()
    window.wait_until(dialog.test.isEnabled, timeout_ms=15_000)
    assert "127.0.0.1:1" in texts(dialog) and dialog.isVisible()
    assert dialog.accepted_profile is None


def test_that_an_unchecked_certificate_is_warned_of(dialog: ConnectDialog) -> None:
    choose(dialog, Protocol.SSL)
    assert "pose as the cluster" not in texts(dialog)
    dialog.verify.setChecked(False)
    assert "pose as the cluster" in texts(dialog)
    choose(dialog, Protocol.PLAINTEXT)
    assert "pose as the cluster" not in texts(dialog)


def test_that_the_name_of_a_secret_says_nothing(window: Window, dialog: ConnectDialog) -> None:
    dialog.servers.setText("one:9092")
    dialog.name.setText("orders")
    choose(dialog, Protocol.SASL_SSL)
    dialog.user.setText("alice")
    dialog.password.setText("s3cret")
    reference = dialog.profile().sasl_password_ref
    assert reference == dialog.profile().sasl_password_ref
    assert "orders" not in reference and "alice" not in reference and len(reference) == 32


def test_that_the_focus_after_a_test_of_a_connection_is_on_the_next_step(
    window: Window, dialog: ConnectDialog
) -> None:
    window.clients.append(FakeClient(moving=False))
    dialog.servers.setText("127.0.0.1:1")
    dialog.test.setFocus()
    press(dialog, "test")
    assert dialog.focusWidget() is dialog, "Cancel would take the next space"
    window.wait_until(dialog.test.isEnabled, timeout_ms=15_000)
    assert dialog.focusWidget() is dialog.test, "it failed"

    dialog.test.setFocus()
    press(dialog, "test")
    dialog.name.setFocus()
    window.wait_until(dialog.test.isEnabled, timeout_ms=15_000)
    assert dialog.focusWidget() is dialog.name, "the person went on meanwhile"


def test_that_a_connection_that_passed_its_test_can_be_opened_with_enter(
    window: Window, dialog: ConnectDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(*_: object) -> list[Broker]:
        return [Broker(1, "h", 9092)]

    monkeypatch.setattr("gui.connect_dialog.check_connection", check)
    window.clients.append(FakeClient(moving=False))
    dialog.servers.setText("127.0.0.1:1")
    dialog.test.setFocus()
    press(dialog, "test")
    window.wait_until(dialog.test.isEnabled)
    assert dialog.focusWidget() is dialog.connect_button
