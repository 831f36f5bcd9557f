"""Forms and the Configuration page over a fake cluster, with real keys and clicks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from gui.configuration.page import ConfigurationPage
from gui.groups.actions import delete_groups
from gui.groups.group_view import GroupView
from gui.groups.reset_dialog import ResetDialog
from gui.messages.page import MessagesPage
from gui.plan_dialog import PlanDialog
from gui.topics.actions import TopicActions
from gui.topics.create_dialog import AddPartitionsDialog, CreateTopicDialog
from gui.topics.topic_view import TopicView
from kafka_client.commands.groups import ResetSpec, ResetTo
from kafka_client.errors import TimedOut
from kafka_client.model import ConfigResource, Group, Member, PartitionLag
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from tests.ui.pages import PageHost, page_host
from widgets.table_view import TableView

D = TypeVar("D", bound=QDialog)


@pytest.fixture
def made(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    client = FakeClient(FakeCluster(time.time, moving=False).populate())
    with page_host(qtbot, qapp, client, tmp_path) as found:
        yield found


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.resize(800, 600)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def shown(qtbot: QtBot, kind: type[D]) -> D:
    """The dialog of that kind that is open, as soon as it is."""

    def visible() -> list[D]:
        widgets = QApplication.topLevelWidgets()
        return [w for w in widgets if isinstance(w, kind) and w.isVisible()]

    qtbot.waitUntil(lambda: bool(visible()))
    return visible()[-1]


def test_that_a_new_topic_is_typed_at_once_and_reviewed(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    TopicActions(made.context, window).create()
    form = shown(qtbot, CreateTopicDialog)
    qtbot.waitUntil(form.isActiveWindow)
    assert form.focusWidget() is form.name
    QTest.keyClicks(form.focusWidget(), "my topic")
    assert not form.review.isEnabled() and form.banner.sentence
    form.name.clear()
    assert not form.banner.isVisible(), "an empty form is not wrong yet"
    QTest.keyClicks(form.name, "invoices")
    QTest.keyClick(form.name, Qt.Key.Key_Return)
    plan = shown(qtbot, PlanDialog)
    assert "invoices" in plan.plan.title
    qtbot.waitUntil(lambda: not isValid(form))
    plan.close()


def test_that_the_table_of_a_plan_notes_an_export_that_fails(
    made: PageHost, window: QWidget, qtbot: QtBot, tmp_path: Path
) -> None:
    TopicActions(made.context, window).delete(["email"])
    plan = shown(qtbot, PlanDialog)
    (table,) = plan.findChildren(TableView)
    table.export_to(str(tmp_path / "missing" / "plan.csv"), "csv")
    assert made.notes == [("plan.csv was not written: No such file or directory.", "bad")]
    plan.close()


def test_that_escape_leaves_the_form_and_makes_no_plan(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    TopicActions(made.context, window).add_partitions("email")
    form = shown(qtbot, AddPartitionsDialog)
    QTest.keyClick(form, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: made.session.tasks.running == 0)
    widgets = QApplication.topLevelWidgets()
    assert not [w for w in widgets if isinstance(w, PlanDialog) and w.isVisible()]


def test_that_a_clone_waits_for_the_settings_it_copies(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    made.client.cluster.topic_configs["email"] = {"retention.ms": "3600000"}
    made.client.delay_s = 0.2
    TopicActions(made.context, window).create(like="email", name="email-copy")
    form = shown(qtbot, CreateTopicDialog)
    assert not form.review.isEnabled()
    qtbot.waitUntil(form.review.isEnabled)
    assert any("retention.ms" in f"{r.subject} {r.new} {r.note}" for r in form.make_plan().rows)
    form.reject()


def test_that_a_clone_whose_settings_cannot_be_read_cannot_be_made(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    made.client.failing["configs"] = TimedOut("No answer.")
    TopicActions(made.context, window).create(like="email", name="email-copy")
    form = shown(qtbot, CreateTopicDialog)
    qtbot.waitUntil(lambda: "could not be read" in form.banner.sentence)
    assert not form.review.isEnabled()
    form.reject()


# ---- resetting offsets


def group() -> Group:
    lags = (PartitionLag("email", 0, 5, 9, 4), PartitionLag("sms", 0, 5, 9, 4))
    return Group("nightly-report", "Empty", lags=lags)


def test_that_a_reset_form_describes_what_is_chosen(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    form = ResetDialog(made.context, group(), window)
    form.open()
    assert form.spec() == ResetSpec(ResetTo.EARLIEST)
    form.choose(ResetSpec(ResetTo.SHIFT, -20))
    assert form.spec() == ResetSpec(ResetTo.SHIFT, -20) and form.shift.isEnabled()
    assert not form.offset.isEnabled()
    form.choose_topic("sms")
    assert form.partitions() == [("sms", 0)]
    form.topics[1].click()
    assert not form.preview.isEnabled(), "no topic is left"
    form.reject()


def test_that_a_preview_that_fails_keeps_the_form(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    made.client.failing["committed"] = TimedOut("No answer.", next_step="Try again.")
    form = ResetDialog(made.context, group(), window)
    form.open()
    QTest.mouseClick(form.preview, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "No answer. Try again." in form.banner.sentence)
    assert form.isVisible() and form.preview.isEnabled() and form.plan is None
    form.reject()


def test_that_a_group_that_does_not_exist_opens_no_form(made: PageHost, window: QWidget) -> None:
    view = GroupView(made.context, window)
    view.show_group("gone")
    view.reset()
    assert made.session.tasks.running == 0


# ---- configuration


@pytest.fixture
def page(made: PageHost, qtbot: QtBot) -> ConfigurationPage:
    found = ConfigurationPage(made.context)
    qtbot.addWidget(found)
    found.resize(1064, 640)
    found.show()
    qtbot.waitExposed(found)
    found.show_resource(ConfigResource("topic", "email"))
    qtbot.waitUntil(lambda: found.setting_table.model.rowCount() > 3)
    return found


def edit(page: ConfigurationPage, name: str, value: str) -> None:
    page.setting_table.select_key(name)
    page.editor._field.setText(value)
    QTest.mouseClick(page.editor.set_button, Qt.MouseButton.LeftButton)


def test_that_edits_are_collected_and_can_be_dropped(page: ConfigurationPage) -> None:
    assert not page.pending_bar.isVisible()
    edit(page, "retention.ms", "60000")
    assert page.pending_bar.text.text() == "1 edit not yet applied"
    edit(page, "segment.bytes", "1000")
    assert page.pending_bar.text.text() == "2 edits not yet applied"
    QTest.mouseClick(page.editor.drop_button, Qt.MouseButton.LeftButton)
    assert page.pending_bar.text.text() == "1 edit not yet applied"
    discard = next(b for b in page.pending_bar.findChildren(QPushButton) if b.text() == "Discard")
    QTest.mouseClick(discard, Qt.MouseButton.LeftButton)
    assert not page.pending_bar.isVisible()


def test_that_a_typed_value_is_an_edit_when_one_goes_on(
    page: ConfigurationPage, made: PageHost
) -> None:
    page.setting_table.select_key("retention.ms")
    page.editor._field.setText("60000")
    page.setting_table.select_key("segment.bytes")
    assert page.pending_bar.text.text() == "1 edit not yet applied"
    page.editor._field.setText("2000")
    page.show_resource(ConfigResource("topic", "sms"))
    assert page.pending_bar.text.text() == "2 edits not yet applied"
    email = ConfigResource("topic", "email")
    assert page._pending == {(email, "retention.ms"): "60000", (email, "segment.bytes"): "2000"}
    assert made.session.unapplied_edits == 2


def test_that_a_wrong_value_is_no_edit_when_one_goes_on(page: ConfigurationPage) -> None:
    page.setting_table.select_key("retention.ms")
    page.editor._field.setText("a week")
    page.setting_table.select_key("segment.bytes")
    assert not page._pending


def test_that_a_wrong_value_is_explained_and_cannot_be_added(page: ConfigurationPage) -> None:
    page.setting_table.select_key("retention.ms")
    page.editor._field.setText("a week")
    assert page.editor._wrong.text() and not page.editor.set_button.isEnabled()


def test_that_the_plan_starts_from_what_the_cluster_says_now(
    page: ConfigurationPage, made: PageHost, qtbot: QtBot
) -> None:
    edit(page, "retention.ms", "60000")
    made.client.cluster.topic_configs["email"] = {"retention.ms": "7777777"}
    page.pending_bar.review_requested.emit()
    plan = shown(qtbot, PlanDialog)
    assert any("7777777" in row.old for row in plan.plan.rows)
    assert "retention.ms of topic email" in made.notes[-1][0] and made.notes[-1][1] == "warn"
    plan.close()


def test_that_settings_are_read_again_when_the_page_comes_into_view(
    page: ConfigurationPage, made: PageHost, qtbot: QtBot
) -> None:
    made.client.cluster.topic_configs["email"] = {"retention.ms": "7777777"}
    page.hide()
    page.show()

    def shown_value() -> str:
        rows = {row.entry.name: row.shown for row in page._settings.all_rows}
        return rows["retention.ms"]

    qtbot.waitUntil(lambda: shown_value() == "7777777")


def test_that_a_failure_to_read_settings_can_be_tried_again(
    page: ConfigurationPage, made: PageHost, qtbot: QtBot
) -> None:
    made.client.failing["configs"] = TimedOut("No answer.")
    page.show_resource(ConfigResource("broker", "1"))
    qtbot.waitUntil(lambda: page.state.state == "failed")
    made.client.failing.clear()
    page.state.retry_requested.emit()
    qtbot.waitUntil(lambda: page.state.state == "content")
    assert page.resource == ConfigResource("broker", "1")


# ---- messages


def test_that_a_click_on_a_title_names_the_order_and_is_not_remembered(
    made: PageHost, qtbot: QtBot
) -> None:
    page = MessagesPage(made.context)
    qtbot.addWidget(page)
    assert page.table_bar.order_box.currentText() == "Newest first"
    header = page.table.table.horizontalHeader()
    header.sectionClicked.emit(page.model.column_of("value"))
    assert page.table_bar.order_box.currentIndex() == -1
    assert page.table_bar.order_box.placeholderText() == "By value"
    again = MessagesPage(made.context)
    qtbot.addWidget(again)
    assert again.table_bar.order_box.currentText() == "Newest first"


def test_that_a_group_with_members_is_not_deleted_and_the_reason_is_given(
    made: PageHost, window: QWidget
) -> None:
    busy = Group("busy", "Stable", members=(Member("m", "c", "/h"),))
    made.session.snapshot = replace(made.session.snapshot, groups={"busy": busy})
    delete_groups(made.context, ["busy"], window)
    assert made.notes and made.notes[0][1] == "warn"


def test_that_a_topic_is_deleted_only_after_its_plan(
    made: PageHost, window: QWidget, qtbot: QtBot
) -> None:
    view = TopicView(made.context, window)
    view.show_topic("email")
    delete = next(b for b in view.findChildren(QPushButton) if b.text() == "Delete…")
    delete.click()
    plan = shown(qtbot, PlanDialog)
    assert plan.plan.destructive and "email" in made.client.cluster.logs
    plan.close()
