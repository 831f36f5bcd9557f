"""Windows that are no larger than their screen."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

FRAME_WIDE, FRAME_HIGH = 16, 48
"""Room in pixels for the frame and the title that the desktop puts around a window."""


def fitting(size: QSize, available: QSize) -> QSize:
    """Return ``size``, or as much of it as a screen with this room has."""
    return size.boundedTo(available - QSize(FRAME_WIDE, FRAME_HIGH))


def resize_to_fit(window: QWidget, width: int, height: int) -> None:
    """Resize a window to so many pixels, at most to what its screen has room for."""
    window.resize(fitting(QSize(width, height), window.screen().availableSize()))
