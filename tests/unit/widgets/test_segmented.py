"""The segmented control with a real mouse and real keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from widgets.segmented import SegmentedControl


@pytest.fixture
def control(qtbot: QtBot) -> SegmentedControl:
    made = SegmentedControl(("By topic", "By partition", "In and out"))
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_that_exactly_one_segment_is_chosen_from_the_start(control: SegmentedControl) -> None:
    assert [control.button(i).isChecked() for i in range(3)] == [True, False, False]


def test_that_a_click_chooses_and_is_reported_once(control: SegmentedControl) -> None:
    chosen: list[int] = []
    clicked: list[int] = []
    control.chosen.connect(chosen.append)
    control.clicked.connect(clicked.append)
    QTest.mouseClick(control.button(2), Qt.MouseButton.LeftButton)
    QTest.mouseClick(control.button(2), Qt.MouseButton.LeftButton)
    assert control.index == 2 and chosen == [2] and clicked[0] == 2


def test_that_arrow_keys_move_the_choice(control: SegmentedControl) -> None:
    control.button(0).setFocus()
    QTest.keyClick(control.button(0), Qt.Key.Key_Right)
    assert control.index == 1 and control.button(1).hasFocus()
    QTest.keyClick(control.button(1), Qt.Key.Key_Left)
    assert control.index == 0


def test_that_choosing_by_program_is_not_a_click(control: SegmentedControl) -> None:
    chosen: list[int] = []
    clicked: list[int] = []
    control.chosen.connect(chosen.append)
    control.clicked.connect(clicked.append)
    control.choose(1)
    assert chosen == [1] and clicked == []


def test_that_only_the_outer_corners_are_round(control: SegmentedControl) -> None:
    assert [control.button(i).property("place") for i in range(3)] == ["first", "", "last"]
