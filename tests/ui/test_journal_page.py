"""The Journal page over a real journal file: it fills by itself, filters, and undoes with a
plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.journal import page as module
from gui.journal.detail import EntryDetail
from gui.journal.page import JournalPage
from gui.plan_dialog import PlanDialog
from kafka_client.commands.configs import change_configs
from kafka_client.errors import ClientError
from kafka_client.journal import JournalEntry
from kafka_client.model import ConfigChange, ConfigResource
from tests.conftest import run
from tests.fakes.client import FakeClient
from tests.ui.pages import PageHost, page_host

AT = "fake:9092"
EMAIL = ConfigResource("topic", "email")


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[PageHost]:
    with page_host(qtbot, qapp, FakeClient(moving=False), tmp_path) as made:
        yield made


def shown(window: PageHost) -> JournalPage:
    page = JournalPage(window.context)
    window.qtbot.addWidget(page)
    page.resize(1200, 700)
    page.show()
    window.qtbot.waitUntil(lambda: page.state.state != "loading", timeout=3000)
    return page


def record(window: PageHost, subject: str, cluster: str = "fake") -> None:
    window.journal.record(JournalEntry(1000.0, cluster, "produce", subject))


def subjects(page: JournalPage) -> list[str]:
    return [row.entry.subject for row in page.model.rows]


async def change_retention(window: PageHost, value: str) -> None:
    """As the Configuration page does it: a plan, applied through the gateway."""
    current = await window.session.ask(lambda client: client.configs([EMAIL]))
    plan = change_configs(current, [ConfigChange(EMAIL, "retention.ms", value)], AT)
    await window.session.ask(plan.apply)


def retention(window: PageHost) -> str | None:
    """As it is set on the topic; None for the default."""
    return window.client.cluster.topic_configs["email"].get("retention.ms")


def test_that_an_empty_journal_says_what_will_be_there(window: PageHost) -> None:
    page = shown(window)
    assert page.state.state == "empty" and "No changes yet" in page.state.sentence


def test_that_a_write_appears_by_itself_while_the_page_is_open(window: PageHost) -> None:
    page = shown(window)
    record(window, "email: 3 records")
    window.qtbot.waitUntil(lambda: subjects(page) == ["email: 3 records"], timeout=3000)
    assert page.state.state == "content"


def test_that_writes_made_while_the_page_was_hidden_are_read_when_it_is_shown(
    window: PageHost,
) -> None:
    page = shown(window)
    page.hide()
    record(window, "email: 1 record")
    page.show()
    window.qtbot.waitUntil(lambda: subjects(page) == ["email: 1 record"], timeout=3000)


def test_that_entries_of_other_clusters_are_shown_on_demand(window: PageHost) -> None:
    record(window, "here")
    record(window, "there", cluster="staging")
    page = shown(window)
    assert subjects(page) == ["here"]
    page.scope.choose(1)
    window.qtbot.waitUntil(lambda: set(subjects(page)) == {"here", "there"}, timeout=3000)
    page.scope.choose(0)
    window.qtbot.waitUntil(lambda: subjects(page) == ["here"], timeout=3000)


def test_that_the_filter_narrows_the_table(window: PageHost) -> None:
    for subject in ("email", "sms", "slack"):
        record(window, subject)
    page = shown(window)
    page.table.filter_box.setText("sms")
    window.qtbot.waitUntil(lambda: subjects(page) == ["sms"], timeout=3000)


def test_that_older_entries_are_read_a_page_at_a_time(
    window: PageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ENTRIES", 3)
    for number in range(5):
        record(window, f"t{number}")
    page = shown(window)
    assert set(subjects(page)) == {"t2", "t3", "t4"} and not page.older.isHidden()
    page.older.click()
    window.qtbot.waitUntil(lambda: len(subjects(page)) == 5, timeout=3000)
    assert page.older.isHidden()


def test_that_the_detail_shows_the_plan_and_copies_the_command(window: PageHost) -> None:
    window.journal.record(
        JournalEntry(
            1000.0,
            "fake",
            "alter_configs",
            "topic email",
            plan="Change a.b\na.b, topic email: 1 -> <b>2</b>",
            command="kafka-configs.sh --alter --add-config a.b=2",
            outcome="Broker 2 refused.",
        )
    )
    page = shown(window)
    assert page.table.select_key(1)
    detail = page.detail
    assert isinstance(detail, EntryDetail) and detail.isVisible()
    assert detail.plan.text() == "a.b, topic email: 1 -> <b>2</b>"
    detail.command.copy_button.click()
    assert QGuiApplication.clipboard().text() == "kafka-configs.sh --alter --add-config a.b=2"
    assert not detail.undo_button.isEnabled()


def test_that_an_undo_opens_a_plan_and_changes_nothing_by_itself(window: PageHost) -> None:
    run(change_retention(window, "1000"))
    page = shown(window)
    assert page.table.select_key(1)
    assert page.detail.undo_button.isEnabled()
    page.detail.undo_button.click()
    window.qtbot.waitUntil(lambda: bool(plan_dialogs()), timeout=3000)
    (dialog,) = plan_dialogs()
    assert [(row.old, row.new) for row in dialog.plan.rows] == [("1000", "the default")]
    assert retention(window) == "1000"
    dialog.apply_button.click()
    window.qtbot.waitUntil(lambda: retention(window) != "1000", timeout=3000)
    window.qtbot.waitUntil(lambda: len(subjects(page)) == 2, timeout=3000)
    dialog.close()


def test_that_an_undo_that_is_not_possible_says_why(window: PageHost) -> None:
    window.journal.record(
        JournalEntry(
            1.0,
            "fake",
            "alter_committed",
            "nobody",
            undo="cat > offsets.csv <<'END'\nemail,0,3\nEND\nkafka-consumer-groups.sh "
            "--group nobody --reset-offsets --from-file offsets.csv --execute",
        )
    )
    page = shown(window)
    page.table.select_key(1)
    page.detail.undo_button.click()
    window.qtbot.waitUntil(lambda: bool(page.banner.sentence), timeout=3000)
    assert "nobody" in page.banner.sentence and not plan_dialogs()


def test_that_a_journal_that_cannot_be_read_says_so_and_tries_again(
    window: PageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(*_: object) -> list[JournalEntry]:
        raise ClientError("The database is locked.", next_step="Try again.")

    with monkeypatch.context() as broken:
        broken.setattr(window.journal, "entries", locked)
        page = shown(window)
        assert page.state.state == "failed" and "locked" in page.state.sentence
    record(window, "email")
    window.qtbot.waitUntil(lambda: page.state.state == "content", timeout=3000)


def plan_dialogs() -> list[PlanDialog]:
    return [
        widget
        for widget in QApplication.topLevelWidgets()
        if isinstance(widget, PlanDialog) and widget.isVisible()
    ]
