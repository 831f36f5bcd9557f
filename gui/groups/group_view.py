"""One group: lag over time, its place in each partition, its members."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.groups.actions import delete_groups
from gui.groups.reset_dialog import ResetDialog
from gui.groups.rows import (
    LAG_COLUMNS,
    MEMBER_COLUMNS,
    STATUS_TONES,
    STATUS_WORDS,
    LagRow,
    MemberRow,
    lag_row,
    member_row,
    trend,
)
from gui.page_kit.charts import PageCharts
from gui.pages import PageContext
from kafka_client.model import Group
from widgets import figures
from widgets.charts.model import Mark, Series
from widgets.charts.series_colors import spread
from widgets.charts.units import COUNT, DURATION, RATE
from widgets.facts import Facts
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain, tooltip
from widgets.table_view import TableView

UNITS = (("lag", "Messages", COUNT), ("lag_s", "Seconds", DURATION))
SPLITS = ("By topic", "By partition", "In and out")
MOST_LINES = 8


class GroupView(QWidget):
    back_requested = Signal()

    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self.group = ""
        self._unit = 0
        self._split = 0
        self._lines: list[Series] = []
        self._back = QPushButton("Consumer groups", self)
        self._back.setProperty("role", "link")
        self._back.clicked.connect(self.back_requested)
        self._title = plain("", self, role="title", selectable=True)
        self._facts = Facts(
            ("status", "lag", "behind by", "trend", "caught up in", "members", "state"), self
        )
        self._chart = PageCharts(context, self).panel("Lag")
        self._chart.setMinimumHeight(180)
        self._lags: KeyedTableModel[LagRow] = KeyedTableModel(LAG_COLUMNS, lambda r: r.key)
        self._members: KeyedTableModel[MemberRow] = KeyedTableModel(
            MEMBER_COLUMNS, lambda r: r.member
        )
        self.lag_table = TableView(
            context.theme,
            self._lags,
            name="lags",
            memory=context.preferences,
            noun="partition",
            sort="-lag",
        )
        self.lag_table.say_nothing(
            "groups", "Nothing committed", "This group has not committed an offset yet."
        )
        self.lag_table.row_opened.connect(
            lambda row, _tab: context.navigate(
                "messages", topic=row.topic, partition=row.partition, offset=row.committed
            )
        )
        self.member_table = TableView(
            context.theme,
            self._members,
            name="members",
            memory=context.preferences,
            noun="member",
            sort="client",
        )
        self.member_table.say_nothing(
            "member", "No members", "No consumer is in this group now; its offsets are kept."
        )
        self._build()

    def _segments(self, titles: tuple[str, ...], chosen: object) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(0)
        group = QButtonGroup(self)
        for place, title in enumerate(titles):
            button = QPushButton(title, self)
            button.setProperty("role", "segment")
            button.setProperty(
                "place", "first" if place == 0 else "last" if place == len(titles) - 1 else ""
            )
            button.setCheckable(True)
            button.setChecked(place == 0)
            group.addButton(button, place)
            row.addWidget(button)
        group.idToggled.connect(lambda place, on: chosen(place) if on else None)  # type: ignore[operator]
        return row

    def _build(self) -> None:
        writable = not self.context.session.read_only
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._back)
        head.addWidget(plain("/", self, role="faint"))
        head.addWidget(self._title)
        head.addStretch(1)
        for text, do in (("Reset offsets…", self.reset), ("Delete…", self._delete)):
            button = QPushButton(text, self)
            button.setEnabled(writable)
            button.clicked.connect(lambda _=False, do=do: do())
            head.addWidget(button)
        how = QHBoxLayout()
        how.setSpacing(16)
        how.addLayout(self._segments(SPLITS, self._choose_split))
        how.addLayout(self._segments(tuple(title for _, title, _ in UNITS), self._choose_unit))
        how.addStretch(1)
        tables = QStackedWidget(self)
        tables.addWidget(self.lag_table)
        tables.addWidget(self.member_table)
        above = QWidget(self)
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(8)
        column.addLayout(how)
        column.addWidget(self._chart, 1)
        below = QWidget(self)
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        switch = self._segments(("Partitions", "Members"), tables.setCurrentIndex)
        switch.addStretch(1)
        column.addLayout(switch)
        column.addWidget(tables, 1)
        halves = QSplitter(self)
        halves.setOrientation(halves.orientation().Vertical)
        halves.addWidget(above)
        halves.addWidget(below)
        halves.setSizes([320, 380])
        halves.setChildrenCollapsible(False)
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self._facts)
        column.addWidget(halves, 1)
        self.state = PageState(self.context.theme, body, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(16)
        layout.addLayout(head)
        layout.addWidget(self.state, 1)

    def show_group(self, group: str) -> None:
        if group != self.group:
            self._lags.merge([])
            self._members.merge([])
            self._lines = []
            self._chart.set_series([])
        self.group = group
        self._title.setText(group)
        self.context.session.focus(topics=[], groups=[group])
        self.refresh()

    def leave(self) -> None:
        if self.group:
            self.group = ""
            self.context.session.focus(topics=[], groups=[])

    def refresh(self) -> None:
        if not self.group:
            return
        group = self.context.session.snapshot.groups.get(self.group)
        if group is None:
            if self.context.session.loaded:
                self.state.show_empty(
                    "This group is not there",
                    "It was deleted, its offsets expired, or this connection may not see it.",
                    icon="groups",
                    action="All groups",
                    do=self.back_requested.emit,
                )
            else:
                self.state.show_loading()
            return
        tone = STATUS_TONES[group.status]
        self._facts.show_figures(
            [
                (str(group.status), tone if tone in ("ok", "warn", "bad") else ""),
                (figures.count(group.lag_records), ""),
                (figures.duration(group.lag_seconds), ""),
                (trend(group), ""),
                (figures.duration(group.catch_up_s), ""),
                (figures.count(len(group.members)), ""),
                (group.state, ""),
            ]
        )
        self._facts.setToolTip(tooltip(STATUS_WORDS[group.status]))
        self._lags.merge(lag_row(lag) for lag in group.lags)
        self._members.merge(member_row(m) for m in group.members)
        self._show_lines(group)
        self._show_marks()
        self.state.show_content()

    def _choose_split(self, place: int) -> None:
        self._split = place
        self.refresh()

    def _choose_unit(self, place: int) -> None:
        self._unit = place
        self.refresh()

    def _show_lines(self, group: Group) -> None:
        kind, title_of_unit, unit = UNITS[self._unit]
        if self._split == 2:
            lines = [
                Series(("end_rate", self.group), "produced per second", 0),
                Series(("committed_rate", self.group), "consumed per second", 1),
            ]
            title, unit, stacked = "Produced against consumed", RATE, False
        elif self._split == 1:
            worst = sorted(group.lags, key=lambda lag: -(lag.lag_records or 0))[:MOST_LINES]
            places = sorted((lag.topic, lag.partition) for lag in worst)
            lines = [
                Series((kind, self.group, t, p), f"{t} {p}", color)
                for (t, p), color in zip(places, spread([p for _, p in places]), strict=True)
            ]
            title, stacked = f"Lag by partition, {title_of_unit.lower()}", False
        else:
            topics = group.topics[:MOST_LINES]
            colors = self.context.colors.distinct([("topic", t) for t in topics])
            lines = [
                Series((kind, self.group, t), t, color)
                for t, color in zip(topics, colors, strict=True)
            ]
            title, stacked = (
                f"Lag by topic, {title_of_unit.lower()}",
                kind == "lag" and len(group.topics) > 1,
            )
        if lines != self._lines:
            self._lines = lines
            self._chart.set_stacked(stacked)
            self._chart.set_title(title)
            self._chart.set_unit(unit)
            self._chart.set_series(lines)

    def _show_marks(self) -> None:
        """Rebalances of this group on the time axis."""
        events = [e for e in self.context.session.changes if e.group_id == self.group]
        self._chart.set_marks([Mark(e.at_s, e.text) for e in events[-20:]])

    def reset(self) -> None:
        group = self.context.session.snapshot.groups.get(self.group)
        if group is not None:
            ResetDialog(self.context, group, self).open()

    def _delete(self) -> None:
        delete_groups(self.context, [self.group], self)
