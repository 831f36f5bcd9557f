"""The viewers of bytes, text, JSON and times, alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from widgets.hex_view import HexView
from widgets.json_tree import JsonModel, JsonTree, as_json, scalar
from widgets.text_view import FIRST_BYTES, FIRST_LINES, MOST_BYTES, TextView, break_lines
from widgets.theme import Theme


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme()


def test_that_long_lines_are_cut_and_short_ones_are_not() -> None:
    assert break_lines("a\nb") == "a\nb"
    text = "x" * 9001 + "\nshort"
    assert [len(line) for line in break_lines(text).split("\n")] == [4000, 4000, 1001, 5]
    assert break_lines(text).replace("\n", "") == text.replace("\n", "")


def test_that_text_is_shown_in_part_and_more_on_request(
    qtbot: QtBot, theme: Theme, tmp_path: Path
) -> None:
    view = TextView(theme)
    qtbot.addWidget(view)
    data = b"z" * (8 << 20)
    view.show_bytes(data)
    assert view.shown_bytes == FIRST_BYTES and "64.0 KiB of 8.0 MiB" in view.size_label.text()
    while not view.more.isHidden():
        view.load_more()
    assert view.shown_bytes == MOST_BYTES
    view.save_to(str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == data
    with qtbot.waitSignal(view.failed):
        view.save_to(str(tmp_path / "no" / "such"))
    view.show_bytes(b"line\n" * 100_000)
    assert view.edit.document().blockCount() == FIRST_LINES


def test_that_the_tree_is_a_sound_model(theme: Theme) -> None:
    model = JsonModel(theme)
    model.set_value((("items", [1, [2, (("a", None),)]]), ("id", 2**63), ("id", "<b>")))
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning, model)
    assert model.rowCount() == 3
    assert model.index(1, 1).data() == str(2**63) and model.index(2, 1).data() == '"<b>"'
    assert not model.parent(QModelIndex()).isValid()


def test_that_the_tree_is_made_as_it_is_opened(theme: Theme) -> None:
    model = JsonModel(theme)
    model.set_value((("items", list(range(1200))),))
    items = model.index(0, 0)
    assert model.rowCount(items) == 0 and model.hasChildren(items) and model.canFetchMore(items)
    while model.canFetchMore(items):
        model.fetchMore(items)
    assert model.rowCount(items) == 1200
    assert model.index(1199, 1, items).data() == "1199"
    assert model.path(model.index(7, 0, items)) == "/items/7"
    assert model.parent(model.index(3, 0, items)) == items


def test_that_a_lone_value_is_a_tree_of_one_row(theme: Theme) -> None:
    model = JsonModel(theme)
    model.set_value("alone")
    assert model.rowCount() == 1 and model.index(0, 1).data() == '"alone"'


def test_that_values_are_written_as_json_writes_them() -> None:
    class Literal:
        literal = "1.50"

    assert [scalar(v) for v in (None, True, False, 5, "é\n", Literal())] == [
        "null",
        "true",
        "false",
        "5",
        '"é\\n"',
        "1.50",
    ]
    assert as_json((("a", [1, (("b", None),)]),)) == '{"a": [1, {"b": null}]}'


def test_that_a_tree_opens_only_as_far_as_it_fits(qtbot: QtBot, theme: Theme) -> None:
    tree = JsonTree(theme)
    qtbot.addWidget(tree)
    tree.show()
    tree.show_value((("small", (("a", 1),)), ("large", list(range(100_000)))))
    model = tree.model()
    assert tree.isExpanded(model.index(0, 0)) and not tree.isExpanded(model.index(1, 0))
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    tree.show_value(deep)
    tree.setCurrentIndex(tree.model().index(0, 0))
    tree.copy_value()


def test_that_bytes_are_selected_and_copied(qtbot: QtBot, theme: Theme, qapp: QApplication) -> None:
    view = HexView(theme)
    qtbot.addWidget(view)
    view.resize(700, 300)
    view.show()
    view.show_bytes(bytes(range(256)) * 80_000)
    view.grab()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(view._hex_x(3) + 2, 8))
    assert view.selection == (3, 4)
    view.copy()
    assert qapp.clipboard().text() == "03"
    view.select_all()
    view.copy_text()
    assert len(qapp.clipboard().text()) == 1 << 20
    view.show_bytes(b"")
    view.grab()
