"""What a person changes from the window is journaled."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from gui.messages.page import MessagesPage
from gui.navigation import ProduceTarget
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


def test_that_a_record_produced_from_the_window_is_in_the_journal(window: Window) -> None:
    window.connect(FakeClient(moving=False), "orders")
    window.window.navigate(ProduceTarget("email"))
    view = window.window.view
    assert view is not None
    page = view.widget_of("messages")
    assert isinstance(page, MessagesPage)
    form = page.produce
    form.key.line.setText("customer-7")
    form.value.text.setPlainText("hello")
    window.wait_until(form.send.isEnabled)
    QTest.mouseClick(form.send, Qt.MouseButton.LeftButton)
    window.wait_until(lambda: "Stored in partition" in form.banner.sentence)
    (entry,) = window.application.journal.entries().result()
    assert (entry.cluster, entry.method, entry.succeeded) == ("orders", "produce", True)
    assert entry.subject.startswith("email") and "hello" not in repr(entry)
