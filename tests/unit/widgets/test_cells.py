"""How cells, titles and sparklines are painted, judged by their pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from widgets.cell_delegate import CellDelegate
from widgets.column import Column
from widgets.filter_box import NARROWEST, WIDTH, FilterBox
from widgets.item_table import ROW_PIXELS, ItemTable
from widgets.keyed_table_model import KeyedTableModel
from widgets.marks import draw_sparkline
from widgets.sort_header import SortHeader
from widgets.table_columns import STRETCH_NARROWEST, TableColumns
from widgets.table_model import ICON_ROLE, ROW_ROLE, TONE_ROLE, VALUE_ROLE
from widgets.theme import Theme


@dataclass(frozen=True)
class Row:
    name: str
    share: float | None
    tone: str


COLUMNS = (
    Column[Row]("name", "Name", lambda r: r.name, paint="status", tone=lambda r: r.tone,
                width=200, stretch=True, help="What it is called"),
    Column[Row]("share", "Share", lambda r: r.share, text=lambda v: f"{v:.0%}", paint="bar",
                width=160),
    Column[Row]("badge", "Badge", lambda r: r.tone, paint="badge", tone=lambda r: r.tone,
                width=120, icon=lambda r: "topics"),
)  # fmt: skip
NAME, SHARE, BADGE = range(3)


class Table:
    def __init__(self, qtbot: QtBot, *rows: Row) -> None:
        self.theme = Theme()
        self.model: KeyedTableModel[Row] = KeyedTableModel(COLUMNS, lambda r: r.name)
        self.view = ItemTable(self.theme, None)  # type: ignore[arg-type]
        qtbot.addWidget(self.view)
        self.view.setModel(self.model)
        self.view.setItemDelegate(CellDelegate(self.theme, self.model.columns, self.view))
        self.header = SortHeader(self.theme, self.model.columns, self.view)
        self.view.setHorizontalHeader(self.header)
        self.columns = TableColumns(self.view, self.model, "t", None)
        self.columns.restore("")
        self.model.merge(rows)
        self.columns.fit_once()
        self.view.resize(600, 200)
        self.view.show()

    def colors(self, row: int, column: int) -> Counter[int]:
        """How often each colour occurs in a cell."""
        image = self.view.viewport().grab(self.cell(row, column)).toImage()
        return count_colors(image)

    def cell(self, row: int, column: int) -> QRect:
        return self.view.visualRect(self.model.index(row, column))


def count_colors(image: QImage) -> Counter[int]:
    return Counter(
        image.pixelColor(x, y).rgb() for x in range(image.width()) for y in range(image.height())
    )


def test_that_a_status_is_marked_in_its_colour_and_its_text_is_not(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("orders", 0.5, "bad"))
    colors = table.colors(0, NAME)
    square = 8 * 8
    assert colors[table.theme.color("bad").rgb()] in range(square - 12, square + 1)
    assert colors[table.theme.color("text").rgb()] > 0


def test_that_a_bar_is_as_long_as_its_share(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("a", 0.25, "ok"), Row("b", 0.75, "ok"), Row("c", None, "ok"))
    accent = table.theme.color("accent").rgb()
    quarter, most, unknown = (table.colors(row, SHARE)[accent] for row in range(3))
    assert quarter > 0 and most == pytest.approx(3 * quarter, rel=0.1) and unknown == 0


def test_that_a_badge_has_a_soft_background_of_its_tone(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("a", 0.1, "warn"))
    assert table.colors(0, BADGE)[table.theme.color("warn_soft").rgb()] > 100


def test_that_a_model_answers_for_the_delegate(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("a", 0.1, "warn"))
    index = table.model.index(0, BADGE)
    assert index.data(ROW_ROLE) == Row("a", 0.1, "warn")
    assert (index.data(VALUE_ROLE), index.data(TONE_ROLE), index.data(ICON_ROLE)) == (
        "warn",
        "warn",
        "topics",
    )
    horizontal = Qt.Orientation.Horizontal
    help_text = table.model.headerData(NAME, horizontal, Qt.ItemDataRole.ToolTipRole)
    assert "What it is called" in help_text


def test_that_the_sorted_title_has_an_arrow_beside_it(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("a", 0.1, "ok"))

    def arrows(column: int) -> int:
        """Pixels as blue as the accent; titles are grey."""
        left = table.header.sectionViewportPosition(column)
        area = QRect(left, 0, table.header.sectionSize(column), table.header.height())
        colors = count_colors(table.header.viewport().grab(area).toImage())
        return sum(n for rgb, n in colors.items() if QColor(rgb).blue() > QColor(rgb).red() + 60)

    assert arrows(SHARE) == 0
    table.columns.toggle_sort(SHARE)
    assert arrows(SHARE) > 0 and arrows(NAME) == 0


def test_that_rows_have_one_height_and_a_stretched_column_the_rest(qtbot: QtBot) -> None:
    table = Table(qtbot, Row("a", 0.1, "ok"))
    assert table.cell(0, NAME).height() == ROW_PIXELS
    widths = [table.header.sectionSize(column) for column in range(3)]
    assert sum(widths) == table.view.viewport().width()
    table.header.resizeSection(SHARE, 260)
    assert table.header.sectionSize(NAME) == widths[NAME] - 100
    table.view.resize(300, 200)
    assert table.header.sectionSize(NAME) == STRETCH_NARROWEST


def test_that_a_filter_box_gives_way_in_a_narrow_bar(qtbot: QtBot) -> None:
    box = FilterBox(Theme(), "topic", None)  # type: ignore[arg-type]
    qtbot.addWidget(box)
    assert box.sizeHint().width() == WIDTH and box.minimumWidth() == NARROWEST
    assert box.placeholderText() == "Filter topics"
    asked: list[bool] = []
    box.rows_requested.connect(lambda: asked.append(True))
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert asked == [True]


def sparkline(*values: float) -> list[set[int]]:
    """The rows that are painted in each column of pixels."""
    image = QImage(40, 20, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(0, 0, 0, 0))
    painter = QPainter(image)
    draw_sparkline(painter, QRectF(0, 0, 39, 19), np.array(values), QColor("white"))
    painter.end()
    return [{y for y in range(20) if image.pixelColor(x, y).alpha() > 100} for x in range(40)]


def test_that_a_sparkline_rises_with_its_values_and_leaves_gaps() -> None:
    rising = sparkline(0.0, 1.0)
    assert min(rising[2]) > min(rising[20]) > min(rising[37])
    gap = sparkline(*[1.0] * 10, *[np.nan] * 10, *[1.0] * 10)
    assert gap[5] and not gap[20] and gap[35]
    assert not any(sparkline(np.nan, np.nan))
