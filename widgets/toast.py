"""Notes that pass by themselves at the bottom of the window. Warnings and errors stay longer."""

from __future__ import annotations

import logging

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget
from typing_extensions import override

from widgets.page_state import IconLabel
from widgets.plain import plain
from widgets.theme import Theme

logger = logging.getLogger(__name__)

STAYS_MS = {"ok": 4000, "accent": 4000, "warn": 8000, "bad": 12_000}
MOST = 3
_ICONS = {"ok": "check", "accent": "info", "warn": "warning", "bad": "warning"}


class Toasts(QObject):
    """Stacks notes over the lower right corner of ``host``: at most MOST, the newest lowest."""

    def __init__(self, theme: Theme, host: QWidget, *, below_px: int = 40) -> None:
        super().__init__(host)
        self._theme, self._host, self._below = theme, host, below_px
        self._shown: list[QFrame] = []
        host.installEventFilter(self)

    def show_note(self, sentence: str, tone: str = "accent") -> None:
        """``tone``: ok, accent, warn or bad; it also decides how long the note stays. The log
        keeps every note: people report what they read."""
        logger.log(logging.WARNING if tone in ("warn", "bad") else logging.INFO, "%s", sentence)
        theme = self._theme
        note = QFrame(self._host)
        note.setProperty("role", "toast")
        layout = QHBoxLayout(note)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(
            IconLabel(theme, _ICONS[tone], 18, tone, note), 0, Qt.AlignmentFlag.AlignTop
        )
        words = plain(sentence, note, wrap=len(sentence) > 60)
        if len(sentence) > 60:
            words.setFixedWidth(360)
        layout.addWidget(words, 1)
        away = QToolButton(note)
        away.setIcon(theme.icon("close"))
        away.setAccessibleName("Dismiss")
        away.clicked.connect(lambda: self._dismiss(note))
        layout.addWidget(away, 0, Qt.AlignmentFlag.AlignTop)
        self._shown.append(note)
        for old in self._shown[:-MOST]:
            self._dismiss(old)
        QTimer.singleShot(STAYS_MS[tone], note, lambda: self._dismiss(note))
        note.adjustSize()
        note.show()
        self._place()

    @property
    def notes(self) -> list[QFrame]:
        return list(self._shown)

    def _dismiss(self, note: QFrame) -> None:
        if note in self._shown:
            self._shown.remove(note)
            note.hide()
            note.deleteLater()
            self._place()

    def _place(self) -> None:
        bottom = self._host.height() - self._below
        for note in reversed(self._shown):
            note.move(self._host.width() - note.width() - 16, bottom - note.height())
            note.raise_()
            bottom -= note.height() + 8

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False
