"""A page that shows a list, or one thing of it in the list's place.

Alt+Left, Escape, Backspace, the browser's back key and the link above the name go back to the
list. The keyboard focus follows: into the detail when it opens, back to the row that it came
from when it closes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QStackedWidget, QVBoxLayout, QWidget
from typing_extensions import override

from gui.navigation import Target
from gui.page_kit.detail_view import DetailView
from gui.page_kit.live_page import LivePage
from gui.page_kit.table_list import TableList
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot

BACK_KEYS = {
    "Alt+Left": Qt.ShortcutContext.WindowShortcut,
    "Back": Qt.ShortcutContext.WindowShortcut,
    "Escape": Qt.ShortcutContext.WidgetWithChildrenShortcut,
    "Backspace": Qt.ShortcutContext.WidgetWithChildrenShortcut,
}
"""Keys that have other meanings elsewhere in the window count only inside the detail view."""


class ListAndDetailPage(LivePage):
    """Subclasses call ``set_parts`` once; whichever part is visible is refreshed."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._stack = QStackedWidget(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    def set_parts(self, list_view: TableList[Any], detail: DetailView) -> None:
        self._list, self._detail = list_view, detail
        self._stack.addWidget(list_view)
        self._stack.addWidget(detail)
        detail.back_requested.connect(self.go_back)
        for keys, context in BACK_KEYS.items():
            QShortcut(QKeySequence(keys), detail, self.go_back, context=context)
        self.setFocusProxy(list_view)
        self.watch(list_view.state, detail.state)

    @property
    def shows_list(self) -> bool:
        return self._stack.currentWidget() is self._list

    @abstractmethod
    def show_target(self, target: Target) -> None:
        """Show the place; the page itself (PageTarget) is its list."""

    @abstractmethod
    def refresh_list(self, snapshot: ClusterSnapshot) -> None:
        """Show the snapshot in the list."""

    @abstractmethod
    def refresh_detail(self, snapshot: ClusterSnapshot) -> None:
        """Show the snapshot in the detail view."""

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        if self.shows_list:
            self.refresh_list(snapshot)
        else:
            self.refresh_detail(snapshot)

    def go_back(self) -> None:
        self.show_list()

    def show_list(self) -> None:
        """Show the list as the person left it."""
        self._detail.leave()
        self._switch(self._list)
        if self.session.loaded:
            self.refresh_list(self.session.snapshot)

    def show_detail(self) -> None:
        """Show the detail view; the caller has told it what to show."""
        self._switch(self._detail)

    def _switch(self, part: QWidget) -> None:
        """Hiding a part would hand its focus to whatever comes next in the window."""
        focus = QApplication.focusWidget()
        takes_focus = focus is None or self.isAncestorOf(focus)
        self._stack.setCurrentWidget(part)
        self.setFocusProxy(part)
        if not takes_focus:
            return
        if part is self._list:
            self._list.table.focus_rows()
        else:
            self._detail.focus_content()
