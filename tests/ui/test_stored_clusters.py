"""The embedded clusters on the welcome page: those of another window cannot be removed."""

from __future__ import annotations

import subprocess
import sys

from PySide6.QtWidgets import QDialog, QPushButton, QToolButton

from embedded_broker.shell.layout import LOCK_FILE
from gui.embedded.stored import cluster_folder, new_directory
from gui.embedded.templates import TEMPLATES
from gui.tasks import after
from tests.ui.conftest import Window
from tests.unit.gui.embedded.test_stored import HOLD_LOCK
from widgets.plain import ElidedLabel


def lines(window: Window) -> list[str]:
    return [
        label.text()
        for label in window.application.welcome.findChildren(ElidedLabel)
        if "broker" in label.text() and not label.isHidden()
    ]


def remove_buttons(window: Window) -> list[QToolButton]:
    buttons = window.application.welcome.findChildren(QToolButton)
    return [b for b in buttons if b.accessibleName() == "Remove its data" and not b.isHidden()]


async def test_that_a_cluster_of_another_window_is_listed_without_a_remove_button(
    window: Window,
) -> None:
    application = window.application
    directory, _ = new_directory(application.embedded.root, TEMPLATES["notifications"])
    cluster_folder(directory).mkdir()
    lock = cluster_folder(directory) / LOCK_FILE
    application.embedded.changed.emit()
    await after(1)
    assert len(remove_buttons(window)) == 1

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    application.embedded.changed.emit()
    await after(1)
    assert remove_buttons(window) == []
    assert any("running in another window" in line for line in lines(window))
    holder.communicate()


async def test_that_data_is_removed_only_after_a_question(window: Window) -> None:
    application = window.application
    directory, _ = new_directory(application.embedded.root, TEMPLATES["single"])
    application.embedded.changed.emit()
    await after(1)
    for button in ("Cancel", "Remove"):
        remove_buttons(window)[0].click()
        await after(20)
        (dialog,) = [d for d in application.window.findChildren(QDialog) if d.isVisible()]
        assert directory.exists()
        next(b for b in dialog.findChildren(QPushButton) if b.text() == button).click()
        await after(20)
    assert not directory.exists() and remove_buttons(window) == []
