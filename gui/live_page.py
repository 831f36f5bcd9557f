"""What a page that shows the snapshot shares: it looks at a new one only while it is seen, and says when it is old."""

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
    """Give ``set_content`` the page's widget; override ``refresh``. Loading, failed and stale are handled here."""

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self.context = context
        self.session = context.session
        self.theme = context.theme
        self._missed: Changes | None = None
        self._ever = False
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.states: PageState | None = None
        self.session.snapshot_changed.connect(self._snapshot_changed)
        self.session.state_changed.connect(lambda _: self._judge())
        self.session.paused_changed.connect(lambda _: self._judge())
        self._aging = QTimer(self)
        self._aging.setInterval(1000)
        self._aging.timeout.connect(self._judge)

    def set_content(self, content: QWidget, margin: int = 24) -> None:
        self.states = PageState(self.theme, content, self)
        self.states.retry_requested.connect(lambda: self.session.refresh())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(margin, 16 if margin else 0, margin, 16 if margin else 0)
        layout.addWidget(self.states)
        self._judge()

    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        """Show this picture. Called while the page is seen, and once when it comes into sight."""
        raise NotImplementedError

    def _snapshot_changed(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        if self.isVisible():
            self._look(changes)
        else:
            self._missed = changes

    def _look(self, changes: Changes) -> None:
        self._missed = None
        if self.session.loaded:
            if not self._ever:
                changes = Changes((), True, frozenset(self.session.snapshot.brokers))
                self._ever = True
            self.refresh(self.session.snapshot, changes)
        self._judge()

    def _judge(self) -> None:
        states = self.states
        if states is None:
            return
        session = self.session
        if not session.loaded:
            if session.state.kind is ConnectionKind.LOST:
                states.show_failed("The cluster does not answer", session.state.sentence, session.state.next_step)
            else:
                states.show_loading(f"Connecting to {session.name}…")
            return
        if states.state in ("loading", "failed"):
            states.show_content()
        states.show_stale(stale_sentence(session.snapshot, session.state, time.time(), session.paused))

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._aging.start()
        if self._missed is not None or not self._ever:
            missed = self._missed or Changes()
            all_of_it = Changes(missed.events, True, frozenset(self.session.snapshot.brokers))
            self._look(all_of_it)
        self._judge()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._aging.stop()
