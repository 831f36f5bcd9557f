"""Asks before something that cannot be taken back: a sentence of what will happen, never a loop
of its own."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from widgets.page_state import IconLabel
from widgets.plain import plain
from widgets.theme import Theme


def ask(
    theme: Theme,
    parent: QWidget,
    *,
    title: str,
    sentences: str,
    button: str,
    agreed: Callable[[], None],
    danger: bool = True,
    declined: Callable[[], None] | None = None,
    other: str = "Cancel",
) -> QDialog:
    """Opens at once and returns; ``agreed`` is called when the person agrees."""
    dialog = QDialog(parent.window())
    dialog.setWindowTitle(title)
    dialog.setWindowModality(Qt.WindowModality.WindowModal)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setMinimumWidth(440)
    heading = plain(title, dialog, role="heading", wrap=True)
    words = plain(sentences, dialog, role="muted", wrap=True)
    yes, no = QPushButton(button, dialog), QPushButton(other, dialog)
    yes.setProperty("role", "danger" if danger else "primary")
    yes.clicked.connect(dialog.accept)
    no.clicked.connect(dialog.reject)
    (no if danger else yes).setDefault(True)
    column = QVBoxLayout()
    column.setSpacing(8)
    column.addWidget(heading)
    column.addWidget(words)
    top = QHBoxLayout()
    top.setSpacing(16)
    icon = IconLabel(
        theme, "warning" if danger else "info", 28, "bad" if danger else "accent", dialog
    )
    top.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
    top.addLayout(column, 1)
    buttons = QHBoxLayout()
    buttons.setSpacing(8)
    buttons.addStretch(1)
    buttons.addWidget(no)
    buttons.addWidget(yes)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(24, 24, 24, 16)
    layout.setSpacing(24)
    layout.addLayout(top)
    layout.addLayout(buttons)
    dialog.accepted.connect(agreed)
    if declined is not None:
        dialog.rejected.connect(declined)
    dialog.open()
    return dialog
