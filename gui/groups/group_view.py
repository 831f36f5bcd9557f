"""One group: its lag over time, its position in each partition, its members."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.groups.actions import delete_groups
from gui.groups.reset_dialog import ResetDialog
from gui.groups.rows import (
    LAG_COLUMNS,
    MEMBER_COLUMNS,
    GroupRow,
    LagRow,
    MemberRow,
    group_row,
    lag_row,
    member_row,
)
from gui.navigation import MessagesTarget
from gui.page_kit.charts import PageCharts, marks_of
from gui.page_kit.detail_view import DetailView
from gui.page_kit.page_table import page_table
from gui.pages import PageContext
from gui.plan_dialog import reviewed
from gui.tasks import opened
from kafka_client.commands.groups import ResetSpec
from kafka_client.model import ClusterSnapshot, Group
from resources.wording import counted
from widgets import figures
from widgets.charts.model import Series, SumOf
from widgets.charts.series_colors import SeriesColors, spread
from widgets.charts.units import COUNT, DURATION, RATE
from widgets.facts import Fact
from widgets.keyed_table_model import KeyedTableModel
from widgets.segmented import SegmentedControl
from widgets.table_view import TableView

FACTS = ("Status", "Lag", "Behind by", "Trend", "Caught up in", "Members", "State")
UNITS = (("lag", "Messages", COUNT), ("lag_s", "Seconds", DURATION))
"""series kind, title, unit of the chart"""
BY_TOPIC, BY_PARTITION, RATES = range(3)
SPLITS = ("By topic", "By partition", "In and out")
MOST_LINES = 8
CHART_HEIGHTS = (300, 360)


class GroupView(DetailView):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(context, facts=FACTS, list_title="Consumer groups", parent=parent)
        self.group = ""
        self._lines: list[Series] = []
        self.split = SegmentedControl(SPLITS, self)
        self.unit = SegmentedControl([title for _, title, _ in UNITS], self)
        self._lags: KeyedTableModel[LagRow] = KeyedTableModel(LAG_COLUMNS, lambda r: r.key)
        self._members: KeyedTableModel[MemberRow] = KeyedTableModel(
            MEMBER_COLUMNS, lambda r: r.member
        )
        self.lag_table = self._make_lag_table()
        self.member_table = self._make_member_table()
        self._chart = PageCharts(context, self).panel("Lag")
        self.add_chart(self._chart_with_controls(), CHART_HEIGHTS)
        self.add_tab("partitions", "Partitions", self.lag_table)
        self.add_tab("members", "Members", self.member_table)
        self.add_action("Reset offsets…", lambda: self.reset(), changes=True)
        self.add_action("Delete…", self._delete, changes=True)

    def _chart_with_controls(self) -> QWidget:
        controls = QHBoxLayout()
        controls.setSpacing(16)
        controls.addWidget(self.split)
        controls.addWidget(self.unit)
        controls.addStretch(1)
        for control in (self.split, self.unit):
            control.chosen.connect(lambda _: self._show_lines())
        whole = QWidget(self)
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(8)
        column.addLayout(controls)
        column.addWidget(self._chart, 1)
        return whole

    def _make_lag_table(self) -> TableView[LagRow]:
        return page_table(
            self.context,
            self._lags,
            name="lags",
            noun="partition",
            sort="-lag",
            opened=lambda row, tab: self.context.navigate(
                MessagesTarget(row.topic, row.partition, row.committed), tab
            ),
            empty=(
                "groups",
                "No committed offsets",
                "This group has not committed an offset yet.",
            ),
        )

    def _make_member_table(self) -> TableView[MemberRow]:
        return page_table(
            self.context,
            self._members,
            name="members",
            noun="member",
            sort="client",
            empty=(
                "member",
                "No members",
                "No consumer is in this group now. Its committed offsets are kept.",
            ),
        )

    # ---- showing

    def show_group(self, group: str, tab: str = "") -> None:
        if group != self.group:
            self._lags.merge([])
            self._members.merge([])
            self._lines = []
            self._chart.set_series([])
        self.group = group
        self.show_name(group)
        self.context.session.focus(topics=[], groups=[group])
        self.show_tab(tab)
        self.show_snapshot(self.context.session.snapshot)

    def leave(self) -> None:
        if self.group:
            self.group = ""
            self.context.session.focus(topics=[], groups=[])

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if not self.group or not self.context.session.loaded:
            return
        group = snapshot.groups.get(self.group)
        if group is None:
            self.show_missing(
                "groups",
                f"There is no group {self.group}",
                "It was deleted, its offsets expired, or this connection is not allowed to"
                " describe it.",
            )
            return
        self.show_facts(_facts(group_row(group)))
        self._lags.merge(lag_row(lag) for lag in group.lags)
        self._members.merge(member_row(m) for m in group.members)
        self._show_lines()
        self._show_rebalances()
        self.state.show_content()

    def _show_lines(self) -> None:
        group = self.context.session.snapshot.groups.get(self.group)
        if group is None:
            return
        split = self.split.index
        self.unit.setEnabled(split != RATES)
        kind, unit_title, unit = UNITS[self.unit.index]
        match split:
            case _ if split == RATES:
                lines = _rate_lines(self.group)
                title, unit, stacked = "Produced and consumed per second", RATE, False
            case _ if split == BY_PARTITION:
                lines = _partition_lines(group, kind)
                title, stacked = f"Lag by partition, {unit_title.lower()}", False
            case _:
                lines = _topic_lines(group, kind, self.context.colors)
                title = f"Lag by topic, {unit_title.lower()}"
                stacked = kind == "lag" and len(group.topics) > 1
        if lines != self._lines:
            self._lines = lines
            self._chart.set_stacked(stacked)
            self._chart.set_title(title)
            self._chart.set_unit(unit)
            self._chart.set_series(lines)

    def _show_rebalances(self) -> None:
        """Mark what happened to this group and to brokers on the time axis."""
        self._chart.set_marks(marks_of(self.context.session.changes, group=self.group))

    # ---- actions

    def reset(self, topic: str = "", spec: ResetSpec | None = None) -> None:
        """Open the form that resets the group's offsets, filled with what is given."""
        group = self.context.session.snapshot.groups.get(self.group)
        if group is not None:
            self.context.session.tasks.start(self._reset(group, topic, spec), owner=self)

    async def _reset(self, group: Group, topic: str, spec: ResetSpec | None) -> None:
        form = ResetDialog(self.context, group, self)
        if topic:
            form.choose_topic(topic)
        if spec is not None:
            form.choose(spec)
        accepted = await opened(form)
        if accepted and form.plan is not None:
            await reviewed(self.context, form.plan, self)

    def _delete(self) -> None:
        delete_groups(self.context, [self.group], self)


def _facts(row: GroupRow) -> list[Fact]:
    return [
        Fact(row.status.text, row.status.tone, row.error or row.status.meaning, status=True),
        Fact(figures.count(row.lag)),
        Fact(figures.duration(row.seconds)),
        Fact(row.trend),
        Fact(figures.duration(row.catch_up_s)),
        Fact(figures.count(row.members)),
        Fact(row.state),
    ]


def _topic_lines(group: Group, kind: str, colors: SeriesColors) -> list[Series]:
    topics = group.topics[:MOST_LINES]
    own = colors.distinct([("topic", topic) for topic in topics])
    lines = [
        Series((kind, group.group_id, topic), topic, color)
        for topic, color in zip(topics, own, strict=True)
    ]
    return lines + _others(group, kind, lines, len(group.topics))


def _partition_lines(group: Group, kind: str) -> list[Series]:
    """The partitions with the largest lag, in the order of topic and partition."""
    worst = sorted(group.lags, key=lambda lag: -(lag.lag_records or 0))[:MOST_LINES]
    partitions = sorted((lag.topic, lag.partition) for lag in worst)
    colors = spread([partition for _, partition in partitions])
    lines = [
        Series((kind, group.group_id, topic, partition), f"{topic} {partition}", color)
        for (topic, partition), color in zip(partitions, colors, strict=True)
    ]
    return lines + _others(group, kind, lines, len(group.lags))


def _others(group: Group, kind: str, shown: list[Series], count: int) -> list[Series]:
    """The sum of those that have no line of their own; seconds cannot be added up."""
    if kind != "lag" or count <= len(shown):
        return []
    rest = SumOf((("lag", group.group_id),), tuple(line.key for line in shown))
    return [Series(rest, counted(count - len(shown), "other"), tone="text_faint")]


def _rate_lines(group: str) -> list[Series]:
    return [
        Series(("end_rate", group), "produced per second", 0),
        Series(("committed_rate", group), "consumed per second", 1),
    ]
