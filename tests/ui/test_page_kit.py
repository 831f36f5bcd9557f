"""The kit that the pages are built from, with real keys and clicks on real pages."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QTabBar, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from gui.brokers.page import BrokersPage
from gui.configuration.page import ConfigurationPage
from gui.groups.page import GroupsPage
from gui.journal.page import JournalPage
from gui.messages.page import MessagesPage
from gui.navigation import (
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    ProduceTarget,
    TopicTarget,
)
from gui.overview.page import OverviewPage
from gui.page_kit.latest_job import AT_ONCE, LatestJob
from gui.topics.page import TopicsPage
from kafka_client.model import ConfigResource
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host
from widgets.table_view import TableView


@pytest.fixture
def made(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path) as found:
        yield found


def show(page: QWidget, qtbot: QtBot) -> None:
    qtbot.addWidget(page)
    page.resize(1064, 640)
    page.show()
    qtbot.waitExposed(page)
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)


@pytest.fixture
def topics(made: PageHost, qtbot: QtBot) -> TopicsPage:
    page = TopicsPage(made.context)
    show(page, qtbot)
    qtbot.waitUntil(lambda: page.topics.table.model.rowCount() > 0)
    return page


def open_email(page: TopicsPage) -> None:
    """As a person does: the row has the focus, the page opens it."""
    page.topics.table.select_key("email")
    page.topics.table.table.setFocus()
    page.show_target(TopicTarget("email"))


@pytest.mark.parametrize(
    ("key", "modifier"),
    [
        (Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier),
        (Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Backspace, Qt.KeyboardModifier.NoModifier),
    ],
)
def test_that_a_key_goes_back_to_the_list_and_to_the_row(
    topics: TopicsPage, key: Qt.Key, modifier: Qt.KeyboardModifier
) -> None:
    open_email(topics)
    assert not topics.shows_list
    assert topics.topic_view.partition_table.table.hasFocus(), "the focus goes into the detail"
    focus = QApplication.focusWidget()
    assert focus is not None
    QTest.keyClick(focus, key, modifier)
    assert topics.shows_list and topics.topics.table.table.hasFocus()
    assert [row.name for row in topics.topics.table.selected_rows()] == ["email"]


def test_that_backspace_and_escape_in_a_filter_edit_it_and_do_not_go_back(
    topics: TopicsPage,
) -> None:
    open_email(topics)
    box = topics.topic_view.partition_table.filter_box
    box.setFocus()
    QTest.keyClicks(box, "12")
    QTest.keyClick(box, Qt.Key.Key_Backspace)
    assert box.text() == "1" and not topics.shows_list
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert box.text() == "" and not topics.shows_list
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert topics.shows_list


def test_that_a_row_is_opened_here_or_with_ctrl_in_a_tab_of_its_own(
    topics: TopicsPage, made: PageHost
) -> None:
    topics.topics.table.select_key("email")
    rows = topics.topics.table.table
    QTest.keyClick(rows, Qt.Key.Key_Return)
    QTest.keyClick(rows, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert made.navigated == [(TopicTarget("email"), False), (TopicTarget("email"), True)]


def test_that_actions_of_a_topic_lead_to_typed_places(topics: TopicsPage, made: PageHost) -> None:
    topics.show_target(TopicTarget("email"))
    buttons = {b.text(): b for b in topics.topic_view.findChildren(QPushButton)}
    for text in ("Messages", "Produce…", "Configuration"):
        QTest.mouseClick(buttons[text], Qt.MouseButton.LeftButton)
    assert [target for target, _ in made.navigated] == [
        MessagesTarget("email"),
        ProduceTarget("email"),
        ConfigurationTarget(ConfigResource("topic", "email")),
    ]


def test_that_the_link_above_the_name_goes_back(topics: TopicsPage) -> None:
    open_email(topics)
    link = next(b for b in topics.topic_view.findChildren(QPushButton) if b.text() == "Topics")
    QTest.mouseClick(link, Qt.MouseButton.LeftButton)
    assert topics.shows_list and topics.session.sampling.focused == ((), ())


def test_that_a_click_on_a_tab_shows_its_content(topics: TopicsPage) -> None:
    open_email(topics)
    view = topics.topic_view
    assert view.tab == "partitions" and view.partition_table.isVisible()
    bar = view.tabs.findChild(QTabBar)
    assert bar is not None
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(1).center())
    assert view.tab == "consumers" and view.reader_table.isVisible()
    assert not view.partition_table.isVisible()


def test_that_a_page_can_be_opened_at_a_tab(topics: TopicsPage) -> None:
    topics.show_target(TopicTarget("email", "consumers"))
    assert topics.topic_view.tab == "consumers"


def test_that_a_topic_that_does_not_exist_says_so_and_leads_back(topics: TopicsPage) -> None:
    topics.show_target(TopicTarget("no-such-topic"))
    state = topics.topic_view.state
    assert state.state == "empty" and "There is no topic no-such-topic" in state.sentence
    button = next(
        b for b in state.findChildren(QPushButton) if b.isVisible() and b.text() == "Back to topics"
    )
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert topics.shows_list


def test_that_a_topic_that_is_deleted_while_it_is_shown_says_so(
    topics: TopicsPage, made: PageHost, qtbot: QtBot
) -> None:
    topics.show_target(TopicTarget("sms"))
    assert topics.topic_view.state.state == "content"
    made.client.cluster.delete("sms")
    made.sample()
    qtbot.waitUntil(lambda: topics.topic_view.state.state == "empty")


def test_that_facts_stand_under_their_names(topics: TopicsPage) -> None:
    topics.show_target(TopicTarget("email"))
    facts = topics.topic_view.facts.texts()
    assert facts["Replicas"] == "in sync" and facts["Partitions"] == "3"


def test_that_actions_that_change_are_off_on_a_read_only_connection(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path, read_only=True) as made:
        page = TopicsPage(made.context)
        show(page, qtbot)
        page.show_target(TopicTarget("email"))
        enabled = {
            b.text(): b.isEnabled() for b in page.topic_view.findChildren(QPushButton) if b.text()
        }
    assert enabled["Messages"] and enabled["Configuration"]
    assert not enabled["Delete…"] and not enabled["Empty…"] and not enabled["Produce…"]


def test_that_the_groups_page_waits_for_the_list_of_groups(made: PageHost, qtbot: QtBot) -> None:
    page = GroupsPage(made.context)
    show(page, qtbot)
    assert page.groups.state.state == "loading"
    page.show_target(GroupTarget("no-such-group"))
    assert "There is no group no-such-group" in page.group_view.state.sentence
    QTest.keyClick(page.group_view, Qt.Key.Key_Escape)
    assert page.shows_list


def test_that_a_destroyed_page_no_longer_listens_to_its_session(
    made: PageHost, qtbot: QtBot, qapp: QApplication
) -> None:
    """A page in a tab is destroyed while its session and the theme live on."""
    for page_class in (TopicsPage, GroupsPage, BrokersPage, MessagesPage, ConfigurationPage):
        page = page_class(made.context)
        page.show()
        page.deleteLater()
        qapp.sendPostedEvents(page, QEvent.Type.DeferredDelete)
        assert not isValid(page)
    made.sample()
    made.session.state_changed.emit(made.session.state)
    made.session.set_paused(True)
    made.theme.set_dark(False)
    made.theme.set_dark(True)
    qapp.processEvents()  # an error in a slot fails the test


def test_that_large_work_leaves_the_thread_and_only_the_newest_request_is_kept(
    made: PageHost, qtbot: QtBot
) -> None:
    results: list[str] = []
    owner = QObject()
    job: LatestJob[str] = LatestJob(made.session, results.append, owner)
    job.request(lambda: "small", 1)
    assert results == ["small"], "small work is done at once"
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        go_on.wait(10)
        return threading.current_thread().name

    job.request(slow, AT_ONCE + 1)
    qtbot.waitUntil(begun.is_set)
    job.request(lambda: "skipped", AT_ONCE + 1)
    job.request(lambda: "newest", 1)
    go_on.set()
    qtbot.waitUntil(lambda: len(results) == 3)
    assert results[1].startswith("rows") and results[2] == "newest"


def test_that_a_bug_in_the_rows_is_reported_and_the_next_request_is_served(
    made: PageHost, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: reported.append(args[1]))
    results: list[str] = []
    owner = QObject()
    job: LatestJob[str] = LatestJob(made.session, results.append, owner)
    job.request(lambda: str(1 // 0), AT_ONCE + 1)
    qtbot.waitUntil(lambda: len(reported) == 1)
    job.request(lambda: "well", AT_ONCE + 1)
    qtbot.waitUntil(lambda: results == ["well"])


@pytest.mark.parametrize(
    "page_type",
    [
        OverviewPage,
        BrokersPage,
        TopicsPage,
        MessagesPage,
        GroupsPage,
        ConfigurationPage,
        JournalPage,
    ],
)
def test_that_every_table_of_a_page_notes_an_export_that_fails(
    made: PageHost, qtbot: QtBot, tmp_path: Path, page_type: type[QWidget]
) -> None:
    page = page_type(made.context)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    tables = page.findChildren(TableView)
    assert tables
    for table in tables:
        made.notes.clear()
        table.export_to(str(tmp_path / "missing" / "rows.csv"), "csv")
        assert made.notes == [("rows.csv was not written: No such file or directory.", "bad")]
