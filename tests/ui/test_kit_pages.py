"""The base classes of pages with the smallest pages that can be made of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from typing_extensions import override

from gui.navigation import PageTarget, Target
from gui.page_kit.detail_view import NAME_NARROWEST, DetailView
from gui.page_kit.form import PlanForm
from gui.page_kit.list_and_detail import ListAndDetailPage
from gui.page_kit.live_page import LivePage
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import TableList
from kafka_client.changes import Changes
from kafka_client.commands.plan import Plan
from kafka_client.errors import BadInput
from kafka_client.model import ClusterSnapshot
from kafka_client.sampling.state import ConnectionKind, ConnectionState
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host
from widgets.column import Column
from widgets.facts import Fact
from widgets.keyed_table_model import KeyedTableModel


@pytest.fixture
def made(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path) as found:
        yield found


class CountingPage(LivePage):
    """Counts its refreshes, and what it was told had changed."""

    def __init__(self, made: PageHost) -> None:
        super().__init__(made.context)
        self.refreshed: list[Changes] = []
        self.missing = ""
        self.set_content(QLabel("content"))

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        self.refreshed.append(changes)

    @override
    def incomplete(self) -> str:
        return self.missing


def test_that_a_hidden_page_is_not_refreshed_and_catches_up_when_it_is_shown(
    made: PageHost, qtbot: QtBot
) -> None:
    page = CountingPage(made)
    qtbot.addWidget(page)
    made.sample()
    qtbot.wait(250)  # longer than the session gathers snapshots
    assert page.refreshed == []
    page.show()
    assert len(page.refreshed) == 1 and page.refreshed[0].first, "all of it is new to the page"
    page.hide()
    page.show()
    assert len(page.refreshed) == 1, "nothing has changed meanwhile"


def test_that_a_page_is_refreshed_while_it_is_visible(made: PageHost, qtbot: QtBot) -> None:
    page = CountingPage(made)
    qtbot.addWidget(page)
    page.show()
    made.client.cluster.create("new-topic", 1, 1)
    made.sample()
    qtbot.waitUntil(lambda: len(page.refreshed) == 2)
    assert "new-topic" in page.refreshed[-1].topics


def test_that_missing_data_is_named_above_the_content(made: PageHost, qtbot: QtBot) -> None:
    page = CountingPage(made)
    qtbot.addWidget(page)
    page.show()
    assert page.states is not None and not page.states.banner.isVisible()
    page.missing = "No answer from broker 2."
    made.session.state_changed.emit(made.session.state)
    assert page.states.banner.sentence == "No answer from broker 2."
    page.missing = ""
    made.session.state_changed.emit(made.session.state)
    assert not page.states.banner.isVisible() and page.states.state == "content"


def test_that_a_cluster_that_was_never_reached_fails_the_page_with_the_next_step(
    made: PageHost, qtbot: QtBot
) -> None:
    made.session.snapshot = ClusterSnapshot()
    page = CountingPage(made)
    qtbot.addWidget(page)
    page.show()
    assert page.states is not None and page.states.state == "loading"
    made.session.state = ConnectionState(ConnectionKind.LOST, "Nothing listens.", "Start it.")
    made.session.state_changed.emit(made.session.state)
    assert page.states.state == "failed" and "Nothing listens." in page.states.sentence
    made.sample()
    qtbot.waitUntil(lambda: page.states is not None and page.states.state == "content")


@dataclass(frozen=True)
class Row:
    name: str


class Things(ListAndDetailPage):
    def __init__(self, made: PageHost) -> None:
        super().__init__(made.context)
        self.model: KeyedTableModel[Row] = KeyedTableModel(
            [Column("name", "Name", lambda r: r.name)], lambda r: r.name
        )
        table = page_table(
            made.context, self.model, name="things", noun="thing", empty=("info", "None", "Yet.")
        )
        self.things = TableList(made.context, "Things", table, self)
        self.detail = DetailView(made.context, facts=("Size",), list_title="Things", parent=self)
        self.field = QLineEdit()
        self.detail.add_tab("one", "One", self.field)
        self.detail.add_tab("two", "Two", QLabel("two"))
        self.set_parts(self.things, self.detail)
        self.refreshed: list[str] = []

    @override
    def show_target(self, target: Target) -> None:
        if isinstance(target, PageTarget):
            self.show_list()

    @override
    def refresh_list(self, snapshot: ClusterSnapshot) -> None:
        self.refreshed.append("list")

    @override
    def refresh_detail(self, snapshot: ClusterSnapshot) -> None:
        self.refreshed.append("detail")


def test_that_only_the_part_in_sight_is_refreshed(made: PageHost, qtbot: QtBot) -> None:
    page = Things(made)
    qtbot.addWidget(page)
    page.show()
    assert page.refreshed == ["list"]
    page.show_detail()
    made.client.cluster.create("new-topic", 1, 1)
    made.sample()
    qtbot.waitUntil(lambda: page.refreshed[-1] == "detail")
    page.show_target(PageTarget("things"))
    assert page.refreshed[-1] == "list" and page.shows_list


def test_that_a_detail_view_has_a_name_facts_and_tabs(made: PageHost, qtbot: QtBot) -> None:
    page = Things(made)
    qtbot.addWidget(page)
    page.show()
    page.show_detail()
    page.detail.show_name("x" * 300)
    assert page.detail.title.minimumWidth() == NAME_NARROWEST
    page.detail.show_facts([Fact("12")])
    assert page.detail.facts.texts() == {"Size": "12"}
    page.detail.show_tab("two")
    page.detail.show_tab("no such tab")
    assert page.detail.tab == "two"


class Form(PlanForm):
    def __init__(self, made: PageHost, parent: QWidget) -> None:
        super().__init__(made.context, "A form", parent)
        self.field = QLineEdit(self)
        self.add_row("Name", self.field)
        self.field.textChanged.connect(self.check)
        self.check()

    @override
    def ready(self) -> bool:
        return bool(self.field.text())

    @override
    def make_plan(self) -> Plan:
        raise BadInput("That name is taken.")


def test_that_a_form_says_what_is_wrong_and_stays_open(made: PageHost, qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    form = Form(made, window)
    form.open()
    assert not form.review.isEnabled() and not form.banner.isVisible()
    form.field.setText("orders")
    assert form.banner.sentence == "That name is taken." and not form.review.isEnabled()
    form._review()
    assert form.isVisible() and form.plan is None
    form.reject()
