"""Asks before something that cannot be undone."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui.tasks import opened
from resources.wording import counted, counted_is
from widgets.page_state import IconLabel
from widgets.plain import plain, set_title
from widgets.theme import Theme


async def confirmed(
    theme: Theme,
    parent: QWidget,
    *,
    title: str,
    text: str,
    button: str,
    danger: bool = True,
    other: str = "Cancel",
) -> bool:
    """Ask, and return whether the person agreed. ``text`` says what will happen; ``danger`` makes
    the other button the default."""
    dialog = _dialog(theme, parent, title, text, button, danger, other)
    return await opened(dialog) == QDialog.DialogCode.Accepted


async def may_discard(theme: Theme, parent: QWidget, edits: int, of: str) -> bool:
    """Return whether edits of the settings of a cluster may be lost; ask when there are some."""
    return not edits or await confirmed(
        theme,
        parent,
        title=f"Discard {counted(edits, 'edit')}?",
        text=f"{counted_is(edits, 'edit')} not yet applied to the settings of {of}.",
        button="Discard",
        other="Keep",
    )


def _dialog(
    theme: Theme,
    parent: QWidget,
    title: str,
    text: str,
    button: str,
    danger: bool,
    other: str,
) -> QDialog:
    dialog = QDialog(parent.window())
    set_title(dialog, title)
    dialog.setWindowModality(Qt.WindowModality.WindowModal)
    dialog.setMinimumWidth(440)
    heading = plain(title, dialog, role="heading", wrap=True)
    words = plain(text, dialog, role="muted", wrap=True)
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
    return dialog
