"""The Brokers page: the list, the selected broker, and the processes of an embedded cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QPushButton
from pytestqt.qtbot import QtBot

from gui.brokers.broker_view import BrokerView
from gui.brokers.log_view import LINES_KEPT, BrokerLog
from gui.brokers.page import BrokersPage
from gui.embedded.processes import BrokerProcess
from gui.embedded.states import BrokerState
from gui.navigation import BrokerTarget, TopicTarget
from kafka_client.changes import diff
from kafka_client.model import FailedLogDir
from kafka_client.snapshot import with_brokers
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host


class FakeEmbedded(QObject):
    """Stands in for an EmbeddedCluster: processes that a test sets, and a log."""

    brokers_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.brokers = {i: BrokerProcess(i, BrokerState.UP, pid=100 + i) for i in (1, 2, 3)}
        self.log = "line one\nline two\n"
        self.tails: list[int] = []

    async def log_tail(self, broker_id: int) -> str:
        self.tails.append(broker_id)
        return self.log

    def set_state(self, broker_id: int, state: BrokerState) -> None:
        self.brokers[broker_id] = replace(self.brokers[broker_id], state=state)
        self.brokers_changed.emit()


@pytest.fixture
def made(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path) as found:
        yield found


def show(page: BrokersPage, qtbot: QtBot) -> BrokersPage:
    qtbot.addWidget(page)
    page.resize(1064, 640)
    page.show()
    qtbot.waitUntil(lambda: bool(page.table.selected_rows()))
    return page


@pytest.fixture
def control(made: PageHost) -> FakeEmbedded:
    control = FakeEmbedded()
    made.session.embedded = control  # type: ignore[assignment]
    return control


def visible_buttons(view: BrokerView) -> set[str]:
    return {b.text() for b in view.findChildren(QPushButton) if b.isVisible() and b.text()}


def test_that_the_first_broker_is_selected_and_its_replicas_are_listed(
    made: PageHost, qtbot: QtBot
) -> None:
    page = show(BrokersPage(made.context), qtbot)
    assert [row.broker_id for row in page.table.selected_rows()] == [1]
    qtbot.waitUntil(lambda: page.broker_view.replicas.rowCount() > 0)
    facts = page.broker_view.facts.texts()
    assert facts["Replicas"] == str(page.broker_view.replicas.rowCount())
    assert "Process" not in facts and visible_buttons(page.broker_view) == {"Configuration"}


def test_that_a_target_selects_its_broker_as_soon_as_it_is_listed(
    made: PageHost, qtbot: QtBot
) -> None:
    page = BrokersPage(made.context)
    page.show_target(BrokerTarget(3))
    show(page, qtbot)
    assert [row.broker_id for row in page.table.selected_rows()] == [3]
    page.show_target(BrokerTarget(2))
    assert page.broker_view.title.text() == "Broker 2"


def test_that_enter_moves_to_the_replicas_and_a_replica_opens_its_topic(
    made: PageHost, qtbot: QtBot
) -> None:
    page = show(BrokersPage(made.context), qtbot)
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    page.table.table.setFocus()
    QTest.keyClick(page.table.table, Qt.Key.Key_Return)
    replicas = QApplication.focusWidget()
    assert replicas is not None and page.broker_view.isAncestorOf(replicas)
    QTest.keyClick(page.table.table, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert made.navigated == [(BrokerTarget(1), True)]
    QTest.keyClick(replicas, Qt.Key.Key_Down)
    QTest.keyClick(replicas, Qt.Key.Key_Return)
    target, in_tab = made.navigated[-1]
    assert isinstance(target, TopicTarget) and not in_tab


def test_that_the_actions_follow_the_state_of_the_process(
    made: PageHost, control: FakeEmbedded, qtbot: QtBot
) -> None:
    page = show(BrokersPage(made.context), qtbot)
    assert visible_buttons(page.broker_view) >= {"Stop", "Kill -9", "Freeze"}
    control.set_state(1, BrokerState.FROZEN)
    qtbot.waitUntil(lambda: "Thaw" in visible_buttons(page.broker_view))
    assert "Freeze" not in visible_buttons(page.broker_view)
    assert page.broker_view.facts.texts()["Status"].startswith("frozen")
    control.set_state(1, BrokerState.DIED)
    qtbot.waitUntil(lambda: "Start" in visible_buttons(page.broker_view))
    assert page.broker_view.facts.texts()["Status"].startswith("died")


def test_that_killing_a_broker_is_asked_before_it_is_done(
    made: PageHost, control: FakeEmbedded, qtbot: QtBot
) -> None:
    page = show(BrokersPage(made.context), qtbot)
    kill = next(b for b in page.broker_view.findChildren(QPushButton) if b.text() == "Kill -9")
    QTest.mouseClick(kill, Qt.MouseButton.LeftButton)

    def questions() -> list[QDialog]:
        widgets = QApplication.topLevelWidgets()
        return [w for w in widgets if isinstance(w, QDialog) and w.isVisible()]

    qtbot.waitUntil(lambda: bool(questions()))
    (question,) = questions()
    assert question.windowTitle() == "Kill -9 broker 1?"
    question.reject()
    assert control.brokers[1].state is BrokerState.UP


def test_that_the_log_is_read_only_while_it_is_visible(
    made: PageHost, control: FakeEmbedded, qtbot: QtBot
) -> None:
    page = show(BrokersPage(made.context), qtbot)
    assert control.tails == []
    page.broker_view.show_tab("log")
    log = page.broker_view.findChild(BrokerLog)
    assert log is not None
    qtbot.waitUntil(lambda: log.toPlainText() == "line one\nline two")
    assert control.tails[0] == 1
    page.table.select_key(2)
    qtbot.waitUntil(lambda: 2 in control.tails)


def test_that_a_log_keeps_its_last_lines_and_shows_controls_as_signs(
    made: PageHost, control: FakeEmbedded, qtbot: QtBot
) -> None:
    control.log = "\n".join(f"line {i}" for i in range(LINES_KEPT + 50)) + "\n\x1b[31mred"
    page = show(BrokersPage(made.context), qtbot)
    page.broker_view.show_tab("log")
    log = page.broker_view.findChild(BrokerLog)
    assert log is not None
    qtbot.waitUntil(lambda: bool(log.toPlainText()))
    lines = log.toPlainText().split("\n")
    assert len(lines) == LINES_KEPT and lines[-1] == "␛[31mred"


def test_that_a_failed_log_directory_is_said_above_the_broker(made: PageHost, qtbot: QtBot) -> None:
    failed = (FailedLogDir("/var/kafka/disk-b", "why"),)
    before = made.session.snapshot
    after = with_brokers(before, {2: {"failed_dirs": failed, "reachable": True}}, time.time())
    page = show(BrokersPage(made.context), qtbot)
    made.session.take_snapshot(after, diff(before, after))
    page.show_target(BrokerTarget(2))
    qtbot.waitUntil(lambda: "/var/kafka/disk-b" in page.broker_view.banner.sentence)
    rows = {row.broker_id: row for row in page.model.rows}
    assert rows[2].status.text == "disk failed" and rows[1].status.text != "disk failed"
    page.show_target(BrokerTarget(1))
    qtbot.waitUntil(lambda: not page.broker_view.banner.isVisible())
