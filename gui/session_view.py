"""The pages of one cluster: made when first shown, and further ones in tabs of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QApplication,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.confirm import may_discard
from gui.navigation import (
    Navigate,
    PageTarget,
    ShowsTargets,
    Target,
    page_of,
    target_named,
    title_of,
)
from gui.pages import PageContext, spec
from widgets.plain import tooltip, without_mnemonic
from widgets.theme import Theme


class SessionView(QWidget):
    page_shown = Signal(str)

    def __init__(self, context: Callable[[Navigate], PageContext], theme: Theme) -> None:
        super().__init__()
        self.context = context(self.navigate)
        self.session = self.context.session
        self._pages: dict[str, QWidget] = {}
        self._page = ""
        self._tabs: list[tuple[str, QWidget]] = []
        self.bar = QTabBar(self)
        self.bar.setExpanding(False)
        self.bar.setDocumentMode(True)
        self.bar.setTabsClosable(True)
        self.bar.addTab("")
        self.bar.setTabButton(0, QTabBar.ButtonPosition.RightSide, QWidget())
        self.bar.currentChanged.connect(self._show_tab)
        self.bar.tabCloseRequested.connect(self.close_tab)
        self.bar.hide()
        self.stack = QStackedWidget(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.stack, 1)
        self._theme = theme

    @property
    def page(self) -> str:
        """The name of the page in sight."""
        tab = self.bar.currentIndex()
        return self._page if tab <= 0 else self._tabs[tab - 1][0]

    def navigate(self, target: Target | str, in_tab: bool = False, **where: Any) -> None:
        """Show the target in the window's own tab, or in a new one."""
        if isinstance(target, str):
            target = target_named(target, **where)
        if in_tab:
            self._show_in_tab(target)
            return
        page = page_of(target)
        is_current = page == self._page and self.bar.currentIndex() == 0
        wanted = spec(page)
        if page not in self._pages:
            self._pages[page] = wanted.make(self.context)
            self.stack.addWidget(self._pages[page])
        self._page = page
        self.bar.setTabText(0, without_mnemonic(wanted.title))
        self.bar.setTabIcon(0, self._theme.icon(wanted.icon))
        shown = self._pages[page]
        # A page comes back as it was left; asked for once more, it shows its own first place.
        if isinstance(shown, ShowsTargets) and (is_current or not isinstance(target, PageTarget)):
            shown.show_target(target)
        if self.bar.currentIndex() != 0:
            self.bar.setCurrentIndex(0)
        self._show_tab(0)

    def _show_in_tab(self, target: Target) -> None:
        wanted = spec(page_of(target))
        widget = wanted.make(self.context)
        title = title_of(target) or wanted.title
        self._tabs.append((wanted.name, widget))
        self.stack.addWidget(widget)
        index = self.bar.addTab(self._theme.icon(wanted.icon), without_mnemonic(title, limit=32))
        self._close_button(index)
        self.bar.setTabToolTip(index, tooltip(f"{wanted.title}: {title}"))
        self.bar.show()
        if isinstance(widget, ShowsTargets):
            widget.show_target(target)
        self.bar.setCurrentIndex(index)

    def _close_button(self, index: int) -> None:
        button = QToolButton(self.bar)
        button.setIcon(self._theme.icon("close"))
        button.setAccessibleName("Close the tab")
        button.setFixedSize(20, 20)
        widget = self._tabs[index - 1][1]
        button.clicked.connect(lambda: self.close_tab(1 + [w for _, w in self._tabs].index(widget)))
        self.bar.setTabButton(index, QTabBar.ButtonPosition.RightSide, button)

    def close_tab(self, index: int) -> None:
        """Close a tab, after a question when edits would be lost with it."""
        if index <= 0:
            return
        widget = self._tabs[index - 1][1]
        edits = self.session.unapplied.get(widget, 0)
        if edits:
            self.session.tasks.start(self._close_if_agreed(widget, edits), owner=widget)
        else:
            self._close(widget)

    async def _close_if_agreed(self, widget: QWidget, edits: int) -> None:
        if await may_discard(self._theme, self, edits, self.session.name):
            self._close(widget)

    def _close(self, widget: QWidget) -> None:
        index = 1 + [other for _, other in self._tabs].index(widget)
        self._tabs.pop(index - 1)
        self.bar.removeTab(index)
        self.stack.removeWidget(widget)
        widget.deleteLater()
        self.bar.setVisible(bool(self._tabs))

    def _show_tab(self, index: int) -> None:
        widget = self._pages.get(self._page) if index <= 0 else self._tabs[index - 1][1]
        if widget is not None:
            focus = QApplication.focusWidget()
            takes_focus = focus is None or self.stack.isAncestorOf(focus)
            if self.stack.currentWidget() is not widget:
                self.stack.setCurrentWidget(widget)
                if takes_focus:  # else Qt hands the focus of the hidden page to the rail
                    widget.setFocus(Qt.FocusReason.OtherFocusReason)
            self.page_shown.emit(self.page)

    def widget_of(self, page: str) -> QWidget | None:
        return self._pages.get(page)
