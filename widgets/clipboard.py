"""The only way to the clipboard. What it holds may be pasted into a terminal."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication

from resources.outgoing import exact, visible


def copy_data(text: str) -> None:
    """Copy the content of a record or a file as it is: whoever pastes it wants these characters."""
    QGuiApplication.clipboard().setText(exact(text))


def copy_lines(text: str) -> None:
    """Copy text of the program, such as a table or a report: tabs and line ends stay, other control
    characters in it become visible signs."""
    QGuiApplication.clipboard().setText(visible(text, lines=True, limit=len(text) + 1))


def copy_line(text: str) -> None:
    """Copy a name or a command, in one line: a line end in it would run what precedes it."""
    QGuiApplication.clipboard().setText(visible(text, limit=len(text) + 1))
