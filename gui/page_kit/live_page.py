"""The base of every page that shows the cluster snapshot.

A live page refreshes only while it is visible, and shows the loading, failed and stale states
on behalf of its content. GUI thread only.
"""

from __future__ import annotations

from abc import abstractmethod

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget
from typing_extensions import override

from gui.health import stale_sentence
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot
from kafka_client.sampling.state import ConnectionKind
from kafka_client.steady import steady_s
from widgets.page_state import PageState

STALE_CHECK_MS = 1000


class LivePage(QWidget):
    """Call ``set_content`` with the page's widget, or ``watch`` with its own PageStates.

    Subclasses implement ``refresh`` and may override ``incomplete``.
    """

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.session = context.session
        self.theme = context.theme
        self._missed: Changes | None = None
        """changes that arrived while the page was hidden"""
        self._refreshed = False
        """the page has shown at least one snapshot"""
        self._shows_state = False
        """the loading or failed state stands in place of the content"""
        self._watched: tuple[PageState, ...] = ()
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.session.snapshot_changed.connect(self._snapshot_changed)
        self.session.state_changed.connect(self._update_states)
        self.session.paused_changed.connect(self._update_states)
        self._stale_check = QTimer(self)
        self._stale_check.setInterval(STALE_CHECK_MS)
        self._stale_check.timeout.connect(self._update_states)

    def set_content(self, content: QWidget, margin: int = 24) -> None:
        """Fill the page with ``content`` inside one PageState."""
        state = PageState(self.theme, content, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(margin, 16 if margin else 0, margin, 16 if margin else 0)
        layout.addWidget(state)
        self.watch(state)

    def watch(self, *states: PageState) -> None:
        """Show loading, failed and stale in these PageStates."""
        self._watched = states
        for state in states:
            state.retry_requested.connect(lambda: self.session.refresh())
        self._update_states()

    @property
    def states(self) -> PageState | None:
        """The first watched PageState."""
        return self._watched[0] if self._watched else None

    @abstractmethod
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        """Show this snapshot. Called while the page is visible, and when it becomes visible."""

    def incomplete(self) -> str:
        """Return a message naming the data this page could not load, or an empty string."""
        return ""

    def _snapshot_changed(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        if self.isVisible():
            self._show_snapshot(changes)
        else:
            self._missed = changes

    def _show_snapshot(self, changes: Changes) -> None:
        self._missed = None
        self._update_states()
        if self.session.loaded:
            if not self._refreshed:
                changes = self._everything(changes)
                self._refreshed = True
            self.refresh(self.session.snapshot, changes)

    def _everything(self, changes: Changes) -> Changes:
        """Mark all of the snapshot as changed: this page missed what came before."""
        return Changes(changes.events, True, frozenset(self.session.snapshot.brokers))

    def _update_states(self, *_: object) -> None:
        """A slot, not a lambda: Qt disconnects it when the page is destroyed in a closed tab."""
        session = self.session
        if not session.loaded:
            self._shows_state = True
            for state in self._watched:
                if session.state.kind is ConnectionKind.LOST:
                    state.show_failed(
                        "The cluster does not answer",
                        session.state.sentence,
                        session.state.next_step,
                    )
                else:
                    state.show_loading(f"Connecting to {session.name}…")
            return
        stale = (
            stale_sentence(session.snapshot, session.state, steady_s(), session.paused)
            or self.incomplete()
        )
        for state in self._watched:
            if self._shows_state:
                state.show_content()
            state.show_stale(stale)
        self._shows_state = False

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._stale_check.start()
        if self._missed is not None or not self._refreshed:
            self._show_snapshot(self._everything(self._missed or Changes()))
        self._update_states()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._stale_check.stop()
