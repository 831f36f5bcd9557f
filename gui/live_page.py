"""What a page that shows the snapshot shares: it looks at a new one only while it is seen, and
says when it is old."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget
from typing_extensions import override

from gui.health import stale_sentence
from gui.pages import PageContext
from kafka_client.changes import Changes
from kafka_client.model import ClusterSnapshot
from kafka_client.sampling.state import ConnectionKind
from widgets.page_state import PageState


class LivePage(QWidget):
    """Give ``set_content`` the page's widget, or ``watch`` its own PageStates; override
    ``refresh``. Loading, failed and stale are then handled here."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.session = context.session
        self.theme = context.theme
        self._missed: Changes | None = None
        self._ever = False
        self._replaced = False
        self._watched: tuple[PageState, ...] = ()
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.session.snapshot_changed.connect(self._snapshot_changed)
        self.session.state_changed.connect(lambda _: self._judge())
        self.session.paused_changed.connect(lambda _: self._judge())
        self._aging = QTimer(self)
        self._aging.setInterval(1000)
        self._aging.timeout.connect(self._judge)

    def set_content(self, content: QWidget, margin: int = 24) -> None:
        state = PageState(self.theme, content, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(margin, 16 if margin else 0, margin, 16 if margin else 0)
        layout.addWidget(state)
        self.watch(state)

    def watch(self, *states: PageState) -> None:
        self._watched = states
        for state in states:
            state.retry_requested.connect(lambda: self.session.refresh())
        self._judge()

    @property
    def states(self) -> PageState | None:
        """The first that is watched."""
        return self._watched[0] if self._watched else None

    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        """Show this picture. Called while the page is seen, and once when it comes into sight."""
        raise NotImplementedError

    def incomplete(self) -> str:
        """What of this page's figures could not be had, as a sentence; empty when nothing is
        missing."""
        return ""

    def _snapshot_changed(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        if self.isVisible():
            self._look(changes)
        else:
            self._missed = changes

    def _look(self, changes: Changes) -> None:
        self._missed = None
        self._judge()
        if self.session.loaded:
            if not self._ever:
                changes = self._all_of_it(changes)
                self._ever = True
            self.refresh(self.session.snapshot, changes)

    def _all_of_it(self, changes: Changes) -> Changes:
        return Changes(changes.events, True, frozenset(self.session.snapshot.brokers))

    def _judge(self) -> None:
        session = self.session
        if not session.loaded:
            self._replaced = True
            for states in self._watched:
                if session.state.kind is ConnectionKind.LOST:
                    states.show_failed(
                        "The cluster does not answer",
                        session.state.sentence,
                        session.state.next_step,
                    )
                else:
                    states.show_loading(f"Connecting to {session.name}…")
            return
        old = (
            stale_sentence(session.snapshot, session.state, time.time(), session.paused)
            or self.incomplete()
        )
        for states in self._watched:
            if self._replaced:
                states.show_content()
            states.show_stale(old)
        self._replaced = False

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._aging.start()
        if self._missed is not None or not self._ever:
            self._look(self._all_of_it(self._missed or Changes()))
        self._judge()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._aging.stop()
