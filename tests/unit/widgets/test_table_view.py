"""The table around its model: keys, focus, words when there are no rows, remembered columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.table_view import TableView
from widgets.theme import Theme


@dataclass(frozen=True)
class Row:
    name: str
    size: int


COLUMNS = (
    Column[Row]("name", "Name", lambda r: r.name, stretch=True),
    Column[Row]("size", "Size", lambda r: r.size, numeric=True, width=80),
)
ROWS = [Row("email", 3), Row("slack", 1), Row("sms", 2)]


class Store:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def set_value(self, name: str, value: Any) -> None:
        self.values[name] = value


def make_table(qtbot: QtBot, store: Store | None = None, **more: Any) -> TableView[Row]:
    """A table in a window of its own, with a field before it in the order of the keyboard."""
    window = QWidget()
    layout = QVBoxLayout(window)
    layout.addWidget(QLineEdit(window))
    model: KeyedTableModel[Row] = KeyedTableModel(COLUMNS, lambda r: r.name)
    table = TableView(
        Theme(),
        model,
        name="topics",
        noun="topic",
        memory=store,
        sort="name",
        parent=window,
        **more,
    )
    model.setParent(table)
    layout.addWidget(table)
    qtbot.addWidget(window)
    window.resize(500, 300)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    table.holder = window  # type: ignore[attr-defined]  # else Python collects it, and the table
    return table


@pytest.fixture
def table(qtbot: QtBot) -> TableView[Row]:
    made = make_table(qtbot)
    made.set_empty_words("topics", "No topics yet", "Create one.")
    return made


def merge(table: TableView[Row], rows: list[Row]) -> None:
    assert isinstance(table.model, KeyedTableModel)
    table.model.merge(rows)


def test_that_an_empty_table_shows_its_own_words(table: TableView[Row]) -> None:
    assert table.empty_state.isVisible() and "No topics yet" in table.empty_state.words
    merge(table, ROWS)
    assert not table.empty_state.isVisible()


def test_that_a_filter_without_matches_says_so_also_after_a_refresh(table: TableView[Row]) -> None:
    merge(table, ROWS)
    QTest.keyClicks(table.filter_box, "nothing")
    assert table.empty_state.isVisible()
    assert "No topic matches the filter" in table.empty_state.words
    assert "3 topics" in table.empty_state.words
    merge(table, ROWS)
    table.set_empty_words("topics", "No topics yet", "Create one.")
    assert "No topic matches the filter" in table.empty_state.words


@pytest.mark.parametrize("key", [Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_that_down_and_enter_go_from_the_filter_to_the_rows(
    table: TableView[Row], key: Qt.Key
) -> None:
    merge(table, ROWS)
    table.filter_box.setFocus()
    QTest.keyClick(table.filter_box, key)
    assert table.table.hasFocus() and table.selected_rows() == [Row("email", 3)]


def test_that_escape_clears_the_filter_first(table: TableView[Row]) -> None:
    merge(table, ROWS)
    table.filter_box.setFocus()
    QTest.keyClicks(table.filter_box, "sms")
    assert table.model.rowCount() == 1
    QTest.keyClick(table.filter_box, Qt.Key.Key_Escape)
    assert table.filter_box.text() == "" and table.model.rowCount() == 3


def test_that_tab_goes_from_the_filter_to_the_rows(table: TableView[Row]) -> None:
    merge(table, ROWS)
    table.filter_box.setFocus()
    for _ in range(3):
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, Qt.Key.Key_Tab)
        if table.table.hasFocus():
            return
    pytest.fail("Tab leads away from the table")


def test_that_enter_opens_the_row_and_ctrl_enter_opens_it_in_a_tab(table: TableView[Row]) -> None:
    merge(table, ROWS)
    opened: list[tuple[Row, bool]] = []
    table.row_opened.connect(lambda row, in_tab: opened.append((row, in_tab)))
    table.focus_rows()
    QTest.keyClick(table.table, Qt.Key.Key_Return)
    QTest.keyClick(table.table, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert opened == [(Row("email", 3), False), (Row("email", 3), True)]


def test_that_the_focused_row_is_marked_by_pixels(table: TableView[Row]) -> None:
    merge(table, ROWS)
    table.select_key("slack")
    accent = table.theme.color("accent").rgb()

    def edge() -> int:
        image = table.table.viewport().grab().toImage()
        return image.pixelColor(1, table.table.rowViewportPosition(1) + 14).rgb()

    table.filter_box.setFocus()
    assert edge() != accent
    table.table.setFocus()
    assert edge() == accent


def test_that_a_stretched_column_takes_the_rest_but_never_vanishes(table: TableView[Row]) -> None:
    merge(table, ROWS)
    header = table.table.horizontalHeader()
    viewport = table.table.viewport()
    assert header.sectionSize(0) == viewport.width() - header.sectionSize(1)
    table.window().resize(180, 300)
    QApplication.processEvents()
    assert header.sectionSize(0) >= 140


def test_that_an_empty_table_has_no_scroll_bar(table: TableView[Row]) -> None:
    table.window().resize(180, 300)
    QApplication.processEvents()
    assert not table.table.horizontalScrollBar().isVisible()
    merge(table, ROWS)
    QApplication.processEvents()
    assert table.table.horizontalScrollBar().isVisible()


def test_that_columns_and_sorting_are_remembered(qtbot: QtBot) -> None:
    store = Store()
    table = make_table(qtbot, store)
    merge(table, ROWS)
    table.columns.toggle_sort(1)
    table.table.horizontalHeader().resizeSection(1, 111)
    qtbot.waitUntil(lambda: "tables/topics" in store.values)
    again = make_table(qtbot, store)
    merge(again, ROWS)
    assert again.model.sorted_by == (1, True)
    assert again.table.horizontalHeader().sectionSize(1) == 111


def test_that_a_table_may_forget_its_sorting(qtbot: QtBot) -> None:
    store = Store()
    table = make_table(qtbot, store, remember_sort=False)
    merge(table, ROWS)
    table.columns.toggle_sort(1)
    qtbot.waitUntil(lambda: "tables/topics" in store.values)
    again = make_table(qtbot, store, remember_sort=False)
    assert again.model.sorted_by == (0, False)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_that_an_export_writes_the_shown_rows(qtbot: QtBot, tmp_path: Path, kind: str) -> None:
    table = make_table(qtbot)
    model = table.model
    assert isinstance(model, KeyedTableModel)
    model.merge(ROWS)
    model.set_filter("sl")
    path = tmp_path / f"topics.{kind}"
    assert table.export_to(str(path), kind)
    text = path.read_text("utf-8")
    assert "slack" in text and "email" not in text


def test_that_an_export_that_cannot_be_written_says_why_and_is_logged(
    qtbot: QtBot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = make_table(qtbot)
    path = tmp_path / "missing" / "topics.csv"
    with qtbot.waitSignal(table.failed) as failed:
        assert not table.export_to(str(path), "csv")
    assert failed.args == ["topics.csv was not written: No such file or directory."]
    assert [(r.name, r.levelname) for r in caplog.records] == [("widgets.table_view", "WARNING")]
    assert str(path) in caplog.text
