"""Fields of the scan form for offsets, counts and times."""

from __future__ import annotations

import time

from PySide6.QtCore import QDateTime, Qt
from PySide6.QtWidgets import QDateTimeEdit, QLineEdit, QWidget

from widgets.plain import set_role

LARGEST = 2**63 - 1
"""of an offset"""
MOST_DIGITS = 19


def time_edit(parent: QWidget, seconds_ago: int) -> QDateTimeEdit:
    edit = QDateTimeEdit(QDateTime.fromSecsSinceEpoch(int(time.time()) - seconds_ago), parent)
    edit.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
    edit.setCalendarPopup(False)
    edit.setFixedWidth(186)
    return edit


def number_edit(parent: QWidget, value: int, name: str) -> QLineEdit:
    """A field for numbers beyond those of a spin box. Messages refer to it by ``name``."""
    edit = QLineEdit(f"{value}", parent)
    edit.setFixedWidth(90)
    edit.setAlignment(Qt.AlignmentFlag.AlignRight)
    edit.setAccessibleName(name)
    return edit


def read_number(edit: QLineEdit) -> int | None:
    """The number in the field, thousands separators allowed; None if there is none that fits."""
    text = edit.text().replace(",", "").replace(" ", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        return None
    number = int(text)
    return number if number <= LARGEST else None


def show_valid(edit: QLineEdit) -> None:
    """Give the field a red border while it holds no number."""
    set_role(edit, "" if read_number(edit) is not None else "true", "wrong")
