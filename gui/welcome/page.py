"""The first page: ways to get a cluster, recent connections, clusters stored on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.embedded.stored import StoredCluster
from gui.rail import environment_color
from kafka_client.profile import ConnectionProfile
from resources.wording import counted
from widgets import figures
from widgets.keys import click_on_enter
from widgets.page_state import Banner, IconLabel, Spinner
from widgets.plain import ElidedLabel, plain
from widgets.theme import Theme

COLUMN_PIXELS = 880
"""largest width of the page"""


class Choice(QPushButton):
    """A large button with an icon, a title and a sentence."""

    def __init__(self, theme: Theme, icon: str, title: str, sentence: str, keys: str = "") -> None:
        super().__init__()
        self.setProperty("role", "choice")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(184)
        self.setAccessibleName(title)
        self.setAccessibleDescription(sentence)
        self._icon = IconLabel(theme, icon, 36, "accent", self)
        self._spinner = Spinner(theme, 36, self)
        self._spinner.hide()
        self._sentence = sentence
        heading = plain(title, self, role="heading")
        self._words = plain(sentence, self, role="muted", wrap=True)
        foot = plain(keys, self, role="faint")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(8)
        for widget in (self._icon, self._spinner):
            layout.addWidget(widget)
        layout.addSpacing(4)
        layout.addWidget(heading)
        layout.addWidget(self._words)
        layout.addStretch(1)
        layout.addWidget(foot)
        for part in (self._icon, self._spinner, heading, self._words, foot):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not click_on_enter(self, event):
            super().keyPressEvent(event)

    def show_busy(self, sentence: str) -> None:
        """Show that it works and what it does; an empty sentence ends it."""
        self.setEnabled(not sentence)
        self._spinner.setVisible(bool(sentence))
        self._icon.setVisible(not sentence)
        self._words.setText(sentence or self._sentence)


class _Line(QFrame):
    """One cluster: its name, what it is, and buttons for what can be done with it."""

    def __init__(self, theme: Theme, icon: str, title: str, detail: str, colour: str = "") -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setFixedHeight(52)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 0, 8, 0)
        self._row.setSpacing(12)
        if environment_color(colour) is not None:
            mark = QFrame(self)
            mark.setFixedSize(4, 24)
            mark.setStyleSheet(f"background: {colour}; border-radius: 2px;")
            self._row.addWidget(mark)
        self._row.addWidget(IconLabel(theme, icon, 20, parent=self))
        self._row.addWidget(plain(title, self, role="strong", lines=False))
        self.detail = ElidedLabel(detail, self, role="muted")
        self._row.addWidget(self.detail, 1)

    def add_button(self, widget: QWidget) -> None:
        self._row.addWidget(widget)


class WelcomePage(QWidget):
    demo_requested = Signal(str)
    """name of a template"""
    connect_requested = Signal()
    profile_requested = Signal(ConnectionProfile)
    forget_requested = Signal(ConnectionProfile)
    start_requested = Signal(StoredCluster)
    remove_requested = Signal(StoredCluster)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._stored_lines: dict[Path, _Line] = {}
        """by the folder of the cluster"""
        self.setProperty("role", "body")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.demo = Choice(
            theme,
            "demo",
            "Start a demo cluster",
            "Three brokers, three topics, running producers and consumers. No Docker, no JVM,"
            " ready in seconds.",
        )
        self.empty = Choice(
            theme,
            "brokers",
            "Start an empty cluster",
            "One broker on this machine for your own programs. Its data stays until you remove it.",
        )
        self.connect_choice = Choice(
            theme,
            "connect",
            "Connect to a cluster",
            "Any Apache Kafka by its bootstrap address, with or without TLS and SASL, read-only if"
            " you like.",
            "Ctrl+N",
        )
        self.demo.clicked.connect(lambda: self.demo_requested.emit("notifications"))
        self.empty.clicked.connect(lambda: self.demo_requested.emit("single"))
        self.connect_choice.clicked.connect(self.connect_requested)
        self.trouble = Banner(theme, self)
        self._lists = QVBoxLayout()
        self._lists.setSpacing(8)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(self._make_centred(self._make_column()))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)

    def _make_column(self) -> QWidget:
        column = QWidget()
        column.setProperty("role", "clear")
        column.setMaximumWidth(COLUMN_PIXELS)
        choices = QHBoxLayout()
        choices.setSpacing(16)
        for choice in (self.demo, self.connect_choice, self.empty):
            choices.addWidget(choice, 1)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 72, 0, 32)
        layout.setSpacing(8)
        layout.addLayout(self._make_head(column))
        layout.addSpacing(24)
        layout.addWidget(self.trouble)
        layout.addLayout(choices)
        layout.addLayout(self._lists)
        layout.addStretch(1)
        return column

    def _make_head(self, column: QWidget) -> QHBoxLayout:
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(plain("Kafkarium", column, role="hero"))
        names.addWidget(
            plain("See all of a Kafka cluster, and change it safely.", column, role="muted")
        )
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(IconLabel(self._theme, "app", 56, parent=column))
        head.addLayout(names, 1)
        return head

    @staticmethod
    def _make_centred(column: QWidget) -> QWidget:
        centred = QWidget()
        centred.setProperty("role", "clear")
        row = QHBoxLayout(centred)
        row.setContentsMargins(32, 0, 32, 0)
        row.addStretch(1)
        row.addWidget(column, 100)
        row.addStretch(1)
        return centred

    def show_lists(
        self, recent: Sequence[ConnectionProfile], stored: Sequence[StoredCluster]
    ) -> None:
        self._stored_lines.clear()
        while self._lists.count():
            item = self._lists.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        if stored:
            self._add_title("Embedded clusters on this machine")
            for cluster in stored:
                line = self._stored_lines[cluster.directory] = self._stored(cluster)
                self._lists.addWidget(line)
        if recent:
            self._add_title("Recent connections")
            for profile in recent:
                self._lists.addWidget(self._recent(profile))

    def show_size(self, cluster: StoredCluster, size_bytes: int) -> None:
        """Add the size of a stored cluster's data to its line."""
        line = self._stored_lines.get(cluster.directory)
        if line is not None:
            line.detail.show_text(_describe(cluster, figures.size(size_bytes)))

    def _add_title(self, text: str) -> None:
        label = plain(text, self, role="muted")
        label.setContentsMargins(0, 24, 0, 0)
        self._lists.addWidget(label)

    def _stored(self, cluster: StoredCluster) -> _Line:
        """The data of a running cluster cannot be removed, nor the cluster started twice."""
        line = _Line(self._theme, "demo", cluster.title, _describe(cluster))
        if cluster.in_use:
            return line
        start = QPushButton("Start")
        start.clicked.connect(lambda: self.start_requested.emit(cluster))
        line.add_button(start)
        line.add_button(
            self._icon_button(
                "trash", "Remove its data", lambda: self.remove_requested.emit(cluster)
            )
        )
        return line

    def _recent(self, profile: ConnectionProfile) -> QWidget:
        servers = ", ".join(profile.bootstrap_servers)
        security = (
            ""
            if profile.security_protocol == "PLAINTEXT"
            else f"   ·   {profile.security_protocol}"
        )
        read_only = "   ·   read-only" if profile.writes_refused else ""
        line = _Line(
            self._theme, "brokers", profile.name, f"{servers}{security}{read_only}", profile.colour
        )
        connect = QPushButton("Connect")
        connect.clicked.connect(lambda: self.profile_requested.emit(profile))
        line.add_button(connect)
        line.add_button(
            self._icon_button(
                "close", "Forget this connection", lambda: self.forget_requested.emit(profile)
            )
        )
        return line

    def _icon_button(self, icon: str, text: str, act: Callable[[], None]) -> QToolButton:
        button = QToolButton()
        button.setIcon(self._theme.icon(icon))
        button.setToolTip(text)
        button.setAccessibleName(text)
        button.clicked.connect(act)
        return button


def _describe(cluster: StoredCluster, size: str = "") -> str:
    state = "running in another window" if cluster.in_use else f"last started {cluster.last_used}"
    return ", ".join(filter(None, (counted(cluster.brokers, "broker"), size, state)))
