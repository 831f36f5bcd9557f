"""The series of the Overview's charts, the list of changes, and the demo's controls."""

from __future__ import annotations

import pytest
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from gui.overview.change_list import KEPT, ChangeModel
from gui.overview.demo_panel import MOST, STEPS, rate_of, step_of
from gui.overview.series import (
    GROUPS_SHOWN,
    TOPICS_SHOWN,
    lag_series,
    rate_series,
    worst_groups,
)
from gui.overview.snippets import SNIPPETS
from gui.page_kit.charts import marks_of
from kafka_client.changes import Change, ChangeKind
from kafka_client.model import ClusterSnapshot, Group, PartitionLag
from widgets.charts.series_colors import SeriesColors


def change(at_s: float, kind: ChangeKind, **more: object) -> Change:
    return Change(at_s, kind, f"{kind} at {at_s}", **more)  # type: ignore[arg-type]


def test_that_the_busiest_topics_are_drawn_and_the_rest_as_one() -> None:
    rates = {f"topic-{i:02}": float(i) for i in range(TOPICS_SHOWN + 3)}
    series = rate_series(rates, ["__consumer_offsets"], SeriesColors())
    assert [s.label for s in series[:-1]] == sorted(rates)[3:]
    assert series[-1].label == "3 others"
    assert len(rate_series({"a": 1.0}, [], SeriesColors())) == 1


def test_that_a_group_of_one_topic_has_the_colour_of_the_topic() -> None:
    colors = SeriesColors()
    (topic,) = rate_series({"email": 1.0}, [], colors)
    group = Group("billing", "Stable", lags=(PartitionLag("email", 0, 0, 0, 0),))
    (line,) = lag_series(ClusterSnapshot(groups={"billing": group}), colors)
    assert line.color == topic.color


def test_that_several_groups_also_have_a_total() -> None:
    groups = {name: Group(name, "", lag_records=n) for n, name in enumerate("gfedcbah")}
    assert len(worst_groups(groups.values())) == GROUPS_SHOWN
    labels = [s.label for s in lag_series(ClusterSnapshot(groups=groups), SeriesColors())]
    assert labels[-1] == "total" and labels[:-1] == sorted(labels[:-1])


def test_that_brokers_and_states_of_groups_are_marked_and_only_trouble_is_coloured() -> None:
    down = change(1.0, ChangeKind.BROKER_DOWN, broker_id=2)
    up = change(2.0, ChangeKind.BROKER_UP, broker_id=2)
    created = change(3.0, ChangeKind.TOPIC_CREATED, topic="t")
    rebalanced = change(4.0, ChangeKind.GROUP_STATE, group_id="g")
    marks = marks_of([down, up, created, rebalanced], whole_cluster=True)
    assert [(m.at_s, m.tone) for m in marks] == [
        (1.0, "bad"),
        (2.0, "text_faint"),
        (4.0, "text_faint"),
    ]


def test_that_the_newest_change_stands_first_and_old_ones_are_dropped(qapp: QApplication) -> None:
    model = ChangeModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.add([change(float(i), ChangeKind.BROKER_UP) for i in range(3)])
    assert model.data(model.index(0, 0)) == "broker up at 2.0"
    model.add([change(float(i), ChangeKind.BROKER_UP) for i in range(KEPT)])
    assert model.rowCount() == KEPT
    del tester


@pytest.mark.parametrize("step", [0, 1, STEPS // 2, STEPS - 1, STEPS])
def test_that_steps_of_the_rate_slider_survive_the_way_there_and_back(step: int) -> None:
    assert step_of(rate_of(step)) == step


def test_that_the_slider_reaches_from_off_over_one_to_most() -> None:
    assert (rate_of(0), rate_of(STEPS // 2), rate_of(STEPS)) == (0.0, 1.0, MOST)


def test_that_every_snippet_takes_the_address() -> None:
    for name, text in SNIPPETS:
        assert "{address}" in text, name
