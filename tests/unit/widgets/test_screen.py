from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from widgets.screen import fitting, resize_to_fit


@pytest.mark.parametrize(
    ("screen", "size"),
    [
        (QSize(1920, 1080), QSize(1440, 900)),
        (QSize(1440, 900), QSize(1424, 852)),
        (QSize(1280, 720), QSize(1264, 672)),
    ],
)
def test_that_a_window_is_no_larger_than_its_screen(screen: QSize, size: QSize) -> None:
    assert fitting(QSize(1440, 900), screen) == size


def test_that_a_window_that_fits_gets_the_size_it_asks_for(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    resize_to_fit(window, 300, 200)
    assert window.size() == QSize(300, 200)
    resize_to_fit(window, 100_000, 200)
    assert window.width() < window.screen().availableSize().width()
