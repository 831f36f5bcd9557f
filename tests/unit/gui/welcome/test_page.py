"""The welcome page with a real mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from gui.embedded.stored import StoredCluster
from gui.welcome.page import WelcomePage
from kafka_client.profile import ConnectionProfile
from widgets.theme import Theme

PROFILE = ConnectionProfile("staging", ("kafka:9092",), read_only=True)
STORED = StoredCluster(Path("somewhere"), "Notifications (demo)", "notifications", 3, 0.0)


@pytest.fixture
def page(qtbot: QtBot) -> WelcomePage:
    made = WelcomePage(Theme())
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    return made


def test_that_the_three_choices_are_requests(page: WelcomePage) -> None:
    requests: list[str] = []
    page.demo_requested.connect(requests.append)
    page.connect_requested.connect(lambda: requests.append("connect"))
    for choice in (page.demo, page.empty, page.connect_choice):
        QTest.mouseClick(choice, Qt.MouseButton.LeftButton)
    assert requests == ["notifications", "single", "connect"]


def test_that_a_busy_choice_says_what_it_does_and_cannot_be_clicked(page: WelcomePage) -> None:
    page.demo.show_busy("Starting three brokers…")
    assert not page.demo.isEnabled()
    assert any(label.text() == "Starting three brokers…" for label in page.findChildren(QLabel))
    page.demo.show_busy("")
    assert page.demo.isEnabled()


def test_that_recent_connections_and_stored_clusters_are_listed_with_their_actions(
    page: WelcomePage,
) -> None:
    page.show_lists([PROFILE], [STORED])
    requests: list[object] = []
    for signal in (
        page.profile_requested,
        page.forget_requested,
        page.start_requested,
        page.remove_requested,
    ):
        signal.connect(requests.append)
    buttons = {b.text(): b for b in page.findChildren(QPushButton) if b.text()}
    tools = {b.accessibleName(): b for b in page.findChildren(QToolButton)}
    buttons["Start"].click()
    buttons["Connect"].click()
    tools["Remove its data"].click()
    tools["Forget this connection"].click()
    assert requests == [STORED, PROFILE, STORED, PROFILE]


def test_that_the_lists_are_replaced_and_not_appended_to(page: WelcomePage) -> None:
    page.show_lists([PROFILE], [STORED])
    page.show_lists([PROFILE], [])
    visible = [b for b in page.findChildren(QPushButton) if b.isVisible() and b.text() == "Start"]
    assert visible == []


def test_that_the_size_of_a_stored_cluster_is_shown_when_it_is_known(page: WelcomePage) -> None:
    def texts() -> list[str]:
        return [label.text() for label in page.findChildren(QLabel)]

    page.show_lists([], [STORED])
    assert not any("2.0 KiB" in text for text in texts())
    page.show_size(STORED, 2048)
    assert any(text.startswith("3 brokers, 2.0 KiB, last started") for text in texts()), texts()
    page.show_lists([], [])
    page.show_size(STORED, 2048)  # it went while it was measured


def test_that_enter_makes_the_choice_that_has_the_focus(page: WelcomePage) -> None:
    requests: list[str] = []
    page.demo_requested.connect(requests.append)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space, Qt.Key.Key_A):
        QTest.keyClick(page.demo, key)
    assert requests == ["notifications"] * 3
