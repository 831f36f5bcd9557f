"""Keys that people expect to work everywhere."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton


def click_on_enter(button: QAbstractButton, event: QKeyEvent) -> bool:
    """Click the button if the key is Enter; return whether it was. Outside of dialogs Qt clicks a
    focused button for Space alone."""
    if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
        return False
    button.click()
    return True
