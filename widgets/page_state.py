"""The states of a page: loading, empty and failed in place of its content, stale as a band above.

Each says what has happened, why, and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from widgets.plain import plain, without_mnemonic
from widgets.theme import Theme

TEXT_PIXELS = 480
"""width in pixels of the sentences of a state"""
BANNER_ICONS = {"ok": "check", "accent": "info"}
"""tone -> icon; every other tone warns"""


class IconLabel(QWidget):
    """An icon of the set in the colour of a token; follows the theme."""

    def __init__(
        self,
        theme: Theme,
        name: str,
        pixels: int = 20,
        tone: str = "text_muted",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._name, self._tone = theme, name, tone
        self.setFixedSize(pixels, pixels)
        theme.changed.connect(self.update)

    def show_icon(self, name: str, tone: str = "") -> None:
        self._name = name
        self._tone = tone or self._tone
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._theme.icon(self._name, self._tone).paint(painter, self.rect())
        painter.end()


class Spinner(QWidget):
    """Turns while it is visible."""

    def __init__(self, theme: Theme, pixels: int = 20, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._angle = 0
        self.setFixedSize(pixels, pixels)
        self._timer = QTimer(self)
        self._timer.setInterval(80)
        self._timer.timeout.connect(self._turn)

    def _turn(self) -> None:
        self._angle = (self._angle - 30) % 360
        self.update()

    @override
    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            self._timer.start()
        elif event.type() == QEvent.Type.Hide:
            self._timer.stop()
        return super().event(event)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        wide = max(2.0, self.width() / 10)
        box = QRectF(self.rect()).adjusted(wide, wide, -wide, -wide)
        painter.setPen(QPen(self._theme.color("line_strong"), wide))
        painter.drawEllipse(box)
        painter.setPen(
            QPen(self._theme.color("accent"), wide, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        )
        painter.drawArc(box, self._angle * 16, 90 * 16)
        painter.end()


class EmptyState(QWidget):
    """Words in the middle of an empty view, laid over ``parent`` at its size. Hidden at first."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._icon = IconLabel(theme, "info", 32, "text_faint", self)
        self._title = plain("", self, role="heading", wrap=True)
        self._sentence = plain("", self, role="muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(8)
        for label in (self._title, self._sentence):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(label)
        layout.addStretch(3)
        parent.installEventFilter(self)
        self.hide()

    @property
    def words(self) -> str:
        """Title and sentence, for tests."""
        return f"{self._title.text()} {self._sentence.text()}".strip()

    def show_words(self, icon: str, title: str, sentence: str) -> None:
        self._icon.show_icon(icon)
        self._title.setText(title)
        self._sentence.setText(sentence)
        self.show()

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            parent = self.parentWidget()
            if parent is not None:
                self.setGeometry(parent.rect())
        return False


class Banner(QFrame):
    """A band above the content, with a sentence and perhaps a button.

    ``tone``: ok, accent, warn or bad.
    """

    action_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "banner")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._icon = IconLabel(theme, "warning", 18, "warn", self)
        self._sentence = plain("", self, wrap=True, selectable=True)
        self._button = QPushButton(self)
        self._button.setProperty("role", "quiet")
        self._button.clicked.connect(self.action_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.setSpacing(8)
        layout.addWidget(self._icon)
        layout.addWidget(self._sentence, 1)
        layout.addWidget(self._button)
        self.hide()

    @property
    def sentence(self) -> str:
        return self._sentence.text()

    def show_message(self, sentence: str, tone: str = "warn", action: str = "") -> None:
        """Show the band; an empty sentence hides it."""
        if not sentence:
            self.hide()
            return
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            self.style().unpolish(self)
            self.style().polish(self)
        self._icon.show_icon(BANNER_ICONS.get(tone, "warning"), tone)
        self._sentence.setText(sentence)
        self._button.setText(without_mnemonic(action))
        self._button.setVisible(bool(action))
        self.show()


class PageState(QWidget):
    """Shows a page's content, or one of the states in its place."""

    retry_requested = Signal()

    def __init__(self, theme: Theme, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = "content"
        """content, loading, empty, failed"""
        self.content = content
        self.banner = Banner(theme, self)
        self._instead = QWidget(self)
        self._icon = IconLabel(theme, "info", 40, "text_faint", self._instead)
        self._spinner = Spinner(theme, 32, self._instead)
        self._title = plain("", self._instead, role="heading")
        self._sentence = plain("", self._instead, role="muted", wrap=True, selectable=True)
        self._next_step = plain("", self._instead, wrap=True)
        self._button = QPushButton(self._instead)
        self._action: Callable[[], None] | None = None
        self._button.clicked.connect(self._act)
        column = QVBoxLayout(self._instead)
        column.addStretch(2)
        column.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self._spinner, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(12)
        for label in (self._title, self._sentence, self._next_step):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setFixedWidth(TEXT_PIXELS)
            column.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(12)
        column.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        self._stack = QStackedLayout()
        self._stack.addWidget(content)
        self._stack.addWidget(self._instead)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.banner)
        layout.addLayout(self._stack, 1)

    @property
    def sentence(self) -> str:
        """Title and sentence of the state that stands in place of the content, for tests."""
        return f"{self._title.text()} {self._sentence.text()}".strip()

    def focus_action(self) -> None:
        """Give the keyboard focus to the button of the state that stands instead of the content."""
        self._button.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_content(self) -> None:
        self.state = "content"
        self._stack.setCurrentWidget(self.content)

    def show_loading(self, sentence: str = "Loading…") -> None:
        self._show_instead("loading", "", "text_faint", sentence, "", "", "", None)

    def show_empty(
        self,
        title: str,
        sentence: str = "",
        *,
        icon: str = "info",
        action: str = "",
        do: Callable[[], None] | None = None,
    ) -> None:
        self._show_instead("empty", icon, "text_faint", title, sentence, "", action, do)

    def show_failed(
        self, title: str, sentence: str, next_step: str = "", *, retry: bool = True
    ) -> None:
        do = self.retry_requested.emit if retry else None
        self._show_instead(
            "failed", "warning", "bad", title, sentence, next_step, "Try again" if retry else "", do
        )

    def show_stale(self, sentence: str) -> None:
        """Show a band above the content that says how old it is; an empty sentence hides it."""
        self.banner.show_message(sentence, "warn")

    def _show_instead(
        self,
        state: str,
        icon: str,
        tone: str,
        title: str,
        sentence: str,
        next_step: str,
        action: str,
        do: Callable[[], None] | None,
    ) -> None:
        self.state = state
        self._spinner.setVisible(state == "loading")
        self._icon.setVisible(bool(icon))
        if icon:
            self._icon.show_icon(icon, tone)
        for label, text in (
            (self._title, title),
            (self._sentence, sentence),
            (self._next_step, next_step),
        ):
            label.setText(text)
            label.setVisible(bool(text))
            if text:
                label.ensurePolished()
                label.setFixedHeight(
                    label.heightForWidth(TEXT_PIXELS)
                    if label.wordWrap()
                    else label.sizeHint().height()
                )
        self._action = do
        self._button.setText(without_mnemonic(action))
        self._button.setVisible(bool(action))
        self._stack.setCurrentWidget(self._instead)

    def _act(self) -> None:
        if self._action is not None:
            self._action()
