"""Merging keeps what the person holds, and the model keeps Qt's contract."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.table_view import TableView
from widgets.theme import Theme


@dataclass(frozen=True)
class Row:
    name: str
    size: int | None


COLUMNS = (
    Column[Row]("name", "Name", lambda r: r.name),
    Column[Row]("size", "Size", lambda r: r.size, numeric=True),
)


@pytest.fixture
def model(qapp: object) -> KeyedTableModel[Row]:
    made = KeyedTableModel(COLUMNS, key=lambda r: r.name)
    # The model is the tester's parent and keeps it.
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    return made


def names(model: KeyedTableModel[Row]) -> list[str]:
    return [row.name for row in model.rows]


def test_that_rows_stand_in_the_order_of_the_sorted_column(model: KeyedTableModel[Row]) -> None:
    model.merge([Row("b", 1), Row("a", 3), Row("c", None), Row("d", 2)])
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert names(model) == ["a", "d", "b", "c"]
    model.sort(1, Qt.SortOrder.AscendingOrder)
    assert names(model) == ["b", "d", "a", "c"], "what is not known stands last either way"


def test_that_an_unchanged_snapshot_emits_nothing(model: KeyedTableModel[Row]) -> None:
    model.merge([Row("a", 1), Row("b", 2)])
    emitted: list[str] = []
    model.dataChanged.connect(lambda *_: emitted.append("changed"))
    model.layoutChanged.connect(lambda *_: emitted.append("layout"))
    model.rowsInserted.connect(lambda *_: emitted.append("inserted"))
    model.rowsRemoved.connect(lambda *_: emitted.append("removed"))
    model.modelReset.connect(lambda *_: emitted.append("reset"))
    model.merge([Row("a", 1), Row("b", 2)])
    assert emitted == []
    model.merge([Row("a", 1), Row("b", 3)])
    assert emitted == ["changed"]


def test_that_a_changed_cell_is_emitted_for_its_row_alone(model: KeyedTableModel[Row]) -> None:
    model.merge([Row(f"{i:03}", i) for i in range(100)])
    emitted: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda top, bottom, *_: emitted.append((top.row(), bottom.row())))
    model.merge([Row(f"{i:03}", -1 if i in (4, 5, 50) else i) for i in range(100)])
    assert emitted == [(4, 5), (50, 50)]


def test_that_selection_and_current_row_survive_merging_sorting_and_filtering(
    qtbot: QtBot, model: KeyedTableModel[Row]
) -> None:
    model.merge([Row("a", 1), Row("b", 2), Row("c", 3)])
    view = TableView(Theme(), model, name="t")
    qtbot.addWidget(view)
    view.select_key("b")
    model.sort(1, Qt.SortOrder.DescendingOrder)
    model.merge([Row("d", 9), Row("b", 7), Row("c", 3)])
    assert [row.name for row in view.selected_rows()] == ["b"]
    current = view.current_row()
    assert current is not None and current.name == "b"
    model.set_filter("B")
    assert names(model) == ["b"]
    assert [row.name for row in view.selected_rows()] == ["b"]


def test_that_scrolling_stays_while_rows_come_and_change(
    qtbot: QtBot, model: KeyedTableModel[Row]
) -> None:
    model.merge([Row(f"{i:04}", i) for i in range(1000)])
    view = TableView(Theme(), model, name="t")
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    bar = view.table.verticalScrollBar()
    bar.setValue(5000)
    model.merge([Row(f"{i:04}", i + (i % 7 == 0)) for i in range(1003)])
    assert bar.value() == 5000


def test_that_any_sequence_of_merges_keeps_the_models_contract(model: KeyedTableModel[Row]) -> None:
    rng = random.Random(5)
    selection = QItemSelectionModel(model)
    for _ in range(200):
        rows = [
            Row(str(i), rng.choice([None, rng.randrange(50)]))
            for i in rng.sample(range(60), rng.randrange(60))
        ]
        match rng.randrange(4):
            case 0:
                model.sort(rng.randrange(2), rng.choice(list(Qt.SortOrder)))
            case 1:
                model.set_filter(rng.choice(["", "1", "2 3"]))
            case 2:
                model.merge(rows[:5])
            case _:
                model.merge(rows)
        if model.rowCount():
            index = model.index(rng.randrange(model.rowCount()), 0)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            assert model.row_of(model.key(model.row_at(index.row()))) == index.row()


def test_that_the_filter_wants_every_word_in_either_case(model: KeyedTableModel[Row]) -> None:
    model.merge([Row("Orders.eu", 1), Row("orders.us", 2), Row("clicks", 3)])
    model.set_filter("ORD eu")
    assert names(model) == ["Orders.eu"]


def test_that_cells_show_hostile_text_as_plain_signs(model: KeyedTableModel[Row]) -> None:
    model.merge([Row("<b>x</b>\u202e\x1b[31m\n" + "y" * 5000, 1)])
    shown = model.index(0, 0).data()
    assert shown.startswith("<b>x</b>▫␛[31m␊")
    assert len(shown) <= 512
    tip = model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "<b>" not in tip and "&lt;b&gt;" in tip
