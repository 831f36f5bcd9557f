"""The view of one thing (a topic, a group, a broker): name, actions, a line of facts, tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from gui.page_kit.table_list import MARGINS
from gui.pages import PageContext
from widgets.facts import Fact, Facts
from widgets.page_state import Banner, PageState
from widgets.plain import ElidedLabel, plain, without_mnemonic
from widgets.reflow import ReflowRow, group_of

NAME_NARROWEST = 200
"""pixels that a long name keeps before it is cut"""


class DetailView(QWidget):
    """``list_title`` names the list to go back to; without one there is no back link.

    Subclasses call ``add_action``, ``add_chart`` and ``add_tab`` in their constructor, and then
    ``show_name``, ``show_facts`` or ``show_missing`` for each snapshot.
    """

    back_requested = Signal()

    def __init__(
        self,
        context: PageContext,
        *,
        facts: Sequence[str],
        list_title: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.context = context
        self._list_title = list_title
        self.title = ElidedLabel("", self, role="title" if list_title else "heading")
        self.title.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._action_bar = QWidget(self)
        self._action_row = QHBoxLayout(self._action_bar)
        self._action_row.setContentsMargins(0, 0, 0, 0)
        self._action_row.setSpacing(8)
        self.banner = Banner(context.theme, self)
        self.facts = Facts(context.theme, facts, self)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.currentChanged.connect(lambda _: self.setFocusProxy(self.tabs.currentWidget()))
        self._tab_names: list[str] = []
        self._icons: dict[QPushButton, str] = {}
        """action button -> icon"""
        context.theme.changed.connect(self._recolour)
        self._halves = QSplitter(Qt.Orientation.Vertical, self)
        self._halves.setChildrenCollapsible(False)
        self._halves.addWidget(self.tabs)
        self.state = PageState(context.theme, self._make_body(), self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*(MARGINS if list_title else (0, 8, 0, 0)))
        layout.setSpacing(12)
        layout.addWidget(self._make_head())
        layout.addWidget(self.state, 1)

    def _make_head(self) -> ReflowRow:
        """The name with the link above it, and the actions: below it where there is less room."""
        if not self._list_title:
            return ReflowRow(group_of(self.title), self._action_bar, stretches=(1, 0))
        back = QPushButton(self._list_title, self)
        back.setProperty("role", "link")
        back.setToolTip(f"Back to {self._list_title.lower()} (Alt+Left)")
        back.clicked.connect(self.back_requested)
        name = group_of(back, plain("/", self, role="faint"), self.title)
        return ReflowRow(name, self._action_bar, stretches=(1, 0))

    def _make_body(self) -> QWidget:
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(self.facts)
        column.addWidget(self._halves, 1)
        return body

    # ---- set-up, by the subclass

    def add_action(
        self, text: str, do: Callable[[], object], *, changes: bool = False, icon: str = ""
    ) -> QPushButton:
        """A button beside the name; ``changes`` disables it on a read-only connection."""
        button = QPushButton(without_mnemonic(text), self)
        if icon:
            button.setIcon(self.context.theme.icon(icon))
            self._icons[button] = icon
        if changes and self.context.session.read_only:
            button.setEnabled(False)
            button.setToolTip("This connection is read-only.")
        button.clicked.connect(lambda: do())
        self._action_row.addWidget(button)
        return button

    def _recolour(self) -> None:
        for button, icon in self._icons.items():
            button.setIcon(self.context.theme.icon(icon))

    def add_chart(self, chart: QWidget, sizes: tuple[int, int]) -> None:
        """Put a chart above the tabs; ``sizes`` are the first heights of chart and tabs."""
        self._halves.insertWidget(0, chart)
        self._halves.setSizes(list(sizes))
        self._halves.setStretchFactor(0, 0)
        self._halves.setStretchFactor(1, 1)

    def add_tab(self, name: str, title: str, content: QWidget) -> None:
        """``name`` is what ``show_tab`` takes."""
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 12, 0, 0)
        column.addWidget(content)
        self.tabs.addTab(page, without_mnemonic(title))
        self._tab_names.append(name)
        page.setFocusProxy(content)
        self.setFocusProxy(self.tabs.currentWidget())

    # ---- for each snapshot

    def show_name(self, name: str) -> None:
        self.title.show_text(name)
        self.title.setMinimumWidth(min(self.title.sizeHint().width(), NAME_NARROWEST))

    def show_facts(self, facts: Sequence[Fact]) -> None:
        self.facts.show_facts(facts)

    def show_trouble(self, sentence: str) -> None:
        """What is wrong with the thing, above everything else; empty when nothing is."""
        if sentence != self.banner.sentence:
            self.banner.show_message(sentence, "bad")

    def show_missing(self, icon: str, title: str, sentence: str) -> None:
        """The thing does not exist, or not any more: say so and offer the way back."""
        self.state.show_empty(
            title,
            sentence,
            icon=icon,
            action=f"Back to {self._list_title.lower()}",
            do=self.back_requested.emit,
        )

    def leave(self) -> None:
        """Called when the view is left for the list; nothing to do by default."""

    # ---- tabs and focus

    @property
    def tab(self) -> str:
        return self._tab_names[self.tabs.currentIndex()]

    def show_tab(self, name: str) -> None:
        """Unknown names change nothing."""
        if name in self._tab_names:
            self.tabs.setCurrentIndex(self._tab_names.index(name))

    def focus_content(self) -> None:
        """Give the keyboard focus to the content of the current tab, or to what stands instead."""
        if self.state.state != "content":
            self.state.focus_action()
            return
        content = self.tabs.currentWidget()
        if content is not None:
            content.setFocus(Qt.FocusReason.OtherFocusReason)
