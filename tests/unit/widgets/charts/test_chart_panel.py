"""The panel around a chart: legend, the line that says it is not live, menu and exports."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from tests.unit.widgets.charts.chart_kit import (
    NOW,
    Store,
    double_click,
    drawn_at,
    every,
    picture,
    settle,
    still_clock,
)
from widgets.chart_clock import ChartClock
from widgets.charts.chart_export import MARGIN
from widgets.charts.chart_panel import ChartPanel
from widgets.charts.model import Series, SumOf
from widgets.charts.units import RATE
from widgets.theme import Theme
from widgets.time_style import RELATIVE, UTC

LEFT = Qt.MouseButton.LeftButton
HOSTILE = '<b>&"\u202e=1+1'
A, B, C = Series("a", "a", 1), Series("b", HOSTILE, 2), Series("c", "c", 3)


@pytest.fixture
def store() -> Store:
    return Store(a=every(1, 300, 0, 10.0), b=every(1, 300, 0, 20.0), c=every(1, 300, 0, 35.0))


@pytest.fixture
def panel(qapp: QApplication, store: Store) -> Iterator[ChartPanel]:
    made = ChartPanel(Theme(), still_clock_(), store.read, title="Lag <i>of</i> groups")
    made.set_series([A, B, C])
    made.resize(640, 260)
    made.show()
    settle()
    yield made
    made.close()
    made.deleteLater()
    qapp.processEvents()


_clocks: list[ChartClock] = []


def still_clock_() -> ChartClock:
    """A panel does not own its clock."""
    _clocks.append(still_clock())
    return _clocks[-1]


def entry_of(panel: ChartPanel, series: Series) -> QPoint:
    entry = next(e for e in panel.legend.entries if e.series == series)
    return QPointF(entry.rect.left() + 30, entry.rect.center().y()).toPoint()


def click(panel: ChartPanel, series: Series) -> None:
    place = entry_of(panel, series)
    QTest.mouseClick(panel.legend, LEFT, Qt.KeyboardModifier.NoModifier, place)
    settle()


def colors_drawn(panel: ChartPanel) -> list[bool]:
    image, theme = picture(panel.chart), Theme()
    return [drawn_at(panel.chart, image, NOW - 100, theme.series_color(i)) for i in (1, 2, 3)]


# ---- the legend


def test_that_a_click_hides_a_series_and_another_shows_it(panel: ChartPanel) -> None:
    assert colors_drawn(panel) == [True, True, True]
    click(panel, B)
    assert colors_drawn(panel) == [True, False, True] and panel.legend.hidden == {"b"}
    click(panel, B)
    assert colors_drawn(panel) == [True, True, True]


def test_that_the_legend_stays_where_it_is_when_a_series_is_hidden(panel: ChartPanel) -> None:
    before = [(entry.series, entry.rect) for entry in panel.legend.entries]
    height = panel.legend.height()
    click(panel, A)
    settle()
    assert panel.legend.hidden == {"a"}
    assert [(entry.series, entry.rect) for entry in panel.legend.entries] == before
    assert panel.legend.height() == height


def test_that_a_double_click_shows_one_alone_and_another_all(panel: ChartPanel) -> None:
    double_click(panel.legend, entry_of(panel, B))
    assert colors_drawn(panel) == [False, True, False]
    double_click(panel.legend, entry_of(panel, B))
    assert colors_drawn(panel) == [True, True, True]


def test_that_the_value_axis_fits_what_is_left(panel: ChartPanel) -> None:
    before = panel.chart._view.viewRange()[1][1]
    click(panel, C)
    click(panel, B)
    assert panel.chart._view.viewRange()[1][1] < before / 2


def test_that_least_mean_greatest_and_last_are_those_of_the_visible_range(
    panel: ChartPanel, store: Store
) -> None:
    times, values = store.series["a"]
    values[:] = times - (NOW - 300)
    panel.chart.redraw()
    panel.group.show_span(NOW - 200, NOW - 100)
    settle()
    known = panel.chart.frame_.statistics["a"]
    assert (known.low, known.mean, known.high, known.last) == pytest.approx(
        (100, 150, 200, 200), abs=1
    )
    tip = panel.legend.tip_at(QPointF(entry_of(panel, A)))
    assert tip.splitlines() == ["a", "last 200", "min 100", "mean 150", "max 200"]
    assert any("mean" in entry.details for entry in panel.legend.entries), "there is room"


def test_that_the_legend_is_worked_by_keys_alone(panel: ChartPanel) -> None:
    legend = panel.legend
    before = legend.grab().toImage()
    legend.setFocus(Qt.FocusReason.TabFocusReason)
    assert legend.current == A
    assert legend.grab().toImage() != before, "the focus is seen"
    QTest.keyClick(legend, Qt.Key.Key_Right)
    assert legend.current == B
    QTest.keyClick(legend, Qt.Key.Key_Space)
    assert legend.hidden == {"b"}
    QTest.keyClick(legend, Qt.Key.Key_Space)
    QTest.keyClick(legend, Qt.Key.Key_Return)
    assert legend.hidden == {"a", "c"}
    QTest.keyClick(legend, Qt.Key.Key_Return)
    assert not legend.hidden
    QTest.keyClick(legend, Qt.Key.Key_Left)
    QTest.keyClick(legend, Qt.Key.Key_Left)
    assert legend.current == A, "there is nothing before the first"


def test_that_names_stand_in_the_legend_as_they_are(panel: ChartPanel) -> None:
    labels = [entry.label for entry in panel.legend.entries]
    assert '<b>&"▫=1+1' in labels


def test_that_a_narrow_legend_counts_what_it_leaves_out(panel: ChartPanel) -> None:
    many = [Series(f"s{i}", f"a-long-name-of-a-group-{i}", i) for i in range(30)]
    panel.set_series(many)
    panel.resize(300, 140)
    settle()
    last = panel.legend.entries[-1]
    shown = len(panel.legend.entries) - 1
    assert last.series is None and last.label == f"+{30 - shown} more"
    assert last.rect.right() <= panel.legend.width()
    tip = panel.legend.tip_at(last.rect.center())
    assert tip.splitlines() == [s.label for s in many[shown:]]


def test_that_the_sum_of_the_others_is_a_series_with_statistics(qapp: QApplication) -> None:
    store = Store(**{f"s{i}": every(1, 300, 0, float(i)) for i in range(10)})
    panel = ChartPanel(Theme(), still_clock_(), store.read, title="x", unit=RATE)
    others = Series(SumOf(tuple(f"s{i}" for i in range(7))), "7 others")
    panel.set_series([*(Series(f"s{i}", f"s{i}", i) for i in (7, 8, 9)), others])
    panel.resize(640, 260)
    panel.show()
    settle()
    labels = [series.label for series in panel.chart.series]
    assert labels == ["s7", "s8", "s9", "7 others"]
    assert panel.chart.frame_.statistics[others.key].last == sum(range(7))
    assert "21/s" in [entry.value for entry in panel.legend.entries]
    panel.deleteLater()


# ---- live or not


def test_that_a_chart_that_is_not_live_says_so_and_from_when_to_when(panel: ChartPanel) -> None:
    live = panel.findChild(QPushButton)
    assert live is not None
    assert panel.live_words == "" and live.isHidden()
    panel._clock.style.choose(UTC)
    panel.group.show_span(NOW - 200, NOW - 100)
    assert panel.live_words == "Not live: 22:10:00 – 22:11:40 UTC" and live.isVisible()
    panel._clock.style.choose(RELATIVE)
    assert panel.live_words == "Not live: 3 min 20 s ago – 1 min 40 s ago"
    QTest.mouseClick(live, LEFT)
    assert panel.group.live and panel.live_words == "" and live.isHidden()


def test_that_choosing_a_window_makes_the_chart_live(panel: ChartPanel) -> None:
    panel.group.show_span(NOW - 200, NOW - 100)
    panel.set_window(60)
    assert panel.group.live and panel.group.range_at(NOW) == (NOW - 60, NOW)


def test_that_the_menu_offers_what_the_keys_do(panel: ChartPanel) -> None:
    menu = panel.make_menu()
    actions = {action.text().split("\t")[0]: action for action in menu.actions()}
    assert not actions["Live"].isEnabled() and not actions["Show all series"].isEnabled()
    actions["Logarithmic axis"].trigger()
    assert panel.chart.log
    before = panel.group.range_at(NOW)
    actions["Zoom in"].trigger()
    assert not panel.group.live
    by_menu = panel.group.range_at(NOW)
    panel.group.show_span(*before)
    QTest.keyClick(panel.chart, Qt.Key.Key_Plus)
    assert panel.group.range_at(NOW) == by_menu
    actions["Zoom out"].trigger()
    assert panel.group.range_at(NOW) == pytest.approx(before)
    click(panel, A)
    again = {a.text().split("\t")[0]: a for a in panel.make_menu().actions()}
    again["Show all series"].trigger()
    again["Live"].trigger()
    assert not panel.legend.hidden and panel.group.live
    with_menu = panel.chart.menu_requested
    assert with_menu is not None
    menu.deleteLater()


# ---- exports


def test_that_values_are_copied_as_tab_separated_text(
    panel: ChartPanel, qapp: QApplication
) -> None:
    panel._clock.style.choose(UTC)
    panel.group.show_span(NOW - 100, NOW - 90)
    click(panel, C)
    panel.copy_values()
    lines = [line.split("\t") for line in qapp.clipboard().text().splitlines()]
    assert lines[0] == ["time", "a", '<b>&"▫=1+1']
    assert lines[1] == ["2023-11-14T22:11:40.000Z", "10", "20"] and len(lines) >= 10


def test_that_csv_holds_each_sample_and_no_formula(
    panel: ChartPanel, store: Store, tmp_path: Path
) -> None:
    panel._clock.style.choose(UTC)
    panel.set_series([A, Series("b", "=SUM(A1)", 1)])
    times, values = store.series["a"]
    store.series["a"] = (times[::2], values[::2])
    settle()
    assert panel.export(tmp_path / "x.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert rows[0] == ["time", "a", "'=SUM(A1)"] and len(rows) == 301
    assert rows[1] == ["2023-11-14T22:08:20.000Z", "10", "20"] and rows[2][1:] == ["", "20"]


def test_that_the_picture_is_sharp_and_shows_curves_and_legend(
    panel: ChartPanel, tmp_path: Path
) -> None:
    assert panel.export(tmp_path / "x.png")
    image = QImage(str(tmp_path / "x.png"))
    around = 2 * MARGIN
    assert image.width() == 2 * (panel.width() + around)
    assert image.height() == 2 * (panel.height() + around)
    color = Theme().series_color(1)
    rows = {
        y
        for y in range(image.height())
        for x in range(0, image.width(), 3)
        if image.pixelColor(x, y) == color
    }
    assert any(y < image.height() * 0.8 for y in rows), "the curve"
    assert any(y > image.height() * 0.85 for y in rows), "its swatch in the legend"


@pytest.mark.parametrize("stacked", [True, False])
def test_that_the_svg_is_shapes_and_its_names_are_text(
    panel: ChartPanel, tmp_path: Path, stacked: bool
) -> None:
    panel.set_stacked(stacked)
    settle()
    assert panel.export(tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert QSvgRenderer(str(tmp_path / "x.svg")).isValid()
    assert "<image" not in text and "<b>" not in text and "<i>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert Theme().series_color(1).name() in text


def test_that_an_export_that_fails_is_told(panel: ChartPanel, qtbot: QtBot, tmp_path: Path) -> None:
    for name in ("x.csv", "x.svg", "x.png"):
        with qtbot.waitSignal(panel.failed) as failed:
            assert not panel.export(tmp_path / "missing" / name)
        assert failed.args[0].startswith(f"{name} was not written:")
