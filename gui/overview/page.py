"""The whole cluster on one page: figures, rates, lag, the worst groups, what changed."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from gui.health import Tally, brokers_up
from gui.overview.change_list import ChangeList
from gui.overview.demo_panel import DemoPanel
from gui.page_kit.charts import PageCharts
from gui.page_kit.live_page import LivePage
from gui.pages import PageContext
from kafka_client.changes import Change, Changes
from kafka_client.model import ClusterSnapshot, Group, GroupStatus
from widgets import figures
from widgets.charts.chart_panel import ChartPanel
from widgets.charts.model import Mark, Series, SumOf
from widgets.charts.units import COUNT, RATE, Unit
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import plain
from widgets.table_view import TableView
from widgets.tile import Tile

TOPICS_SHOWN = 7
GROUPS_SHOWN = 6
SPARK_S = 120.0
STATUS_TONES = {
    GroupStatus.OK: "ok",
    GroupStatus.BEHIND: "warn",
    GroupStatus.STALLED: "bad",
    GroupStatus.STOPPED: "bad",
    GroupStatus.REWOUND: "accent",
    GroupStatus.UNKNOWN: "text_faint",
}

GROUP_COLUMNS: tuple[Column[Group], ...] = (
    Column("group", "Group", lambda g: g.group_id, stretch=True),
    Column(
        "status",
        "Status",
        lambda g: str(g.status),
        paint="badge",
        tone=lambda g: STATUS_TONES[g.status],
        width=112,
    ),
    Column("lag", "Lag", lambda g: g.lag_records, text=figures.count, numeric=True, width=64),
    Column(
        "behind", "Behind", lambda g: g.lag_seconds, text=figures.duration, numeric=True, width=92
    ),
)


def card(title: str = "") -> tuple[QFrame, QVBoxLayout]:
    """A bordered surface with a heading."""
    frame = QFrame()
    frame.setProperty("role", "card")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(16, 12, 12, 8)
    layout.setSpacing(8)
    if title:
        layout.addWidget(plain(title, frame, role="strong"))
    return frame, layout


class OverviewPage(LivePage):
    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.setProperty("role", "body")
        self._tally = Tally()
        self._seen_changes = 0
        self._charts = PageCharts(context, self)
        self._tiles: dict[str, Tile] = {}
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addLayout(self._make_tiles())
        if self.session.embedded is not None:
            self.demo = DemoPanel(context, content)
            layout.addWidget(self.demo)
        columns = QHBoxLayout()
        columns.setSpacing(16)
        columns.addLayout(self._make_charts(), 9)
        columns.addLayout(self._make_lists(), 5)
        layout.addLayout(columns, 1)
        self.set_content(content)

    # ---- parts

    def _make_tiles(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(12)
        for name, title, page in (
            ("brokers", "Brokers", "brokers"),
            ("partitions", "Partitions", "topics"),
            ("topics", "Topics", "topics"),
            ("groups", "Consumer groups", "groups"),
            ("lag", "Total lag", "groups"),
            ("rate", "Messages in", "topics"),
            ("bytes", "Bytes in", "topics"),
        ):
            tile = Tile(self.theme, title)
            tile.clicked.connect(lambda page=page: self.context.navigate(page))
            self._tiles[name] = tile
            row.addWidget(tile, 1)
        return row

    def _chart(self, title: str, *, stacked: bool, unit: Unit) -> tuple[QFrame, ChartPanel]:
        frame, layout = card()
        chart = self._charts.panel(title, unit=unit, stacked=stacked)
        layout.addWidget(chart)
        return frame, chart

    def _make_charts(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(16)
        rates, self.rates = self._chart("Messages in per topic", stacked=True, unit=RATE)
        lags, self.lags = self._chart("Lag per group", stacked=False, unit=COUNT)
        column.addWidget(rates, 1)
        column.addWidget(lags, 1)
        return column

    def _make_lists(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(16)
        groups_card, groups_layout = card("Groups furthest behind")
        self.groups = KeyedTableModel(GROUP_COLUMNS, key=lambda g: g.group_id, parent=self)
        table = TableView(
            self.theme,
            self.groups,
            name="overview-groups",
            noun="group",
            toolbar=False,
            sort="-lag",
        )
        table.say_nothing(
            "groups", "No consumer group", "A group appears here when a consumer joins or commits."
        )
        table.row_opened.connect(
            lambda group, tab: self.context.navigate("groups", in_tab=tab, group=group.group_id)
        )
        groups_layout.addWidget(table)
        groups_layout.setContentsMargins(16, 12, 8, 8)
        changed_card, changed_layout = card()
        head = plain("What changed", changed_card, role="strong")
        head.setContentsMargins(12, 0, 0, 0)
        changed_layout.addWidget(head)
        changed_layout.setContentsMargins(4, 12, 4, 4)
        self.changed = ChangeList(self.theme)
        self.changed.change_chosen.connect(self._go_to_change)
        changed_layout.addWidget(self.changed)
        column.addWidget(groups_card, 2)
        column.addWidget(changed_card, 3)
        return column

    # ---- what is shown

    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        self._tally.update(snapshot, changes)
        self._show_tiles(snapshot)
        self._show_series(snapshot)
        worst = sorted(snapshot.groups.values(), key=lambda g: -(g.lag_records or 0))[:GROUPS_SHOWN]
        self.groups.merge(worst)
        self._show_changes()

    def _show_tiles(self, snapshot: ClusterSnapshot) -> None:
        tally, tiles, store = self._tally, self._tiles, self.session.store
        up, total = brokers_up(snapshot), len(snapshot.brokers)
        down = sorted(
            i for i, b in snapshot.brokers.items() if not b.in_cluster or b.reachable is False
        )
        controller = (
            snapshot.quorum.leader_id if snapshot.quorum is not None else snapshot.controller_id
        )
        note = (
            f"broker {', '.join(map(str, down))} is away"
            if down
            else f"controller is broker {controller}"
        )
        tiles["brokers"].show_figure(
            str(up),
            note if down or controller is not None else "controller not known",
            "bad" if not up else "warn" if down else "",
            aside=f"/ {total}",
        )
        if tally.offline:
            words, tone = (
                f"{tally.offline:,} offline, {tally.under_replicated:,} under-replicated",
                "bad",
            )
        elif tally.under_replicated:
            words, tone = f"{tally.under_replicated:,} under-replicated", "warn"
        else:
            words, tone = "all in sync", ""
        if tally.at_risk and not tally.offline:
            words += f", {tally.at_risk:,} on one replica"
        tiles["partitions"].show_figure(figures.count(tally.partitions), words, tone)
        own = tally.topics - tally.internal
        tiles["topics"].show_figure(
            figures.count(own), f"and {tally.internal} internal" if tally.internal else ""
        )
        self._show_group_tiles(snapshot)
        now = self.context.clock.now_s
        for name, form in (("rate", figures.rate), ("bytes", figures.size_rate)):
            last = store.last((name,))
            value = last[1] if last is not None else None
            _, values = store.window((name,), now - SPARK_S, now)
            tiles[name].show_figure(
                form(value), f"mean {form(_mean(values))} in 2 min" if len(values) else ""
            )
            tiles[name].show_values(values)

    def _show_group_tiles(self, snapshot: ClusterSnapshot) -> None:
        groups = snapshot.groups.values()
        bad = [g for g in groups if g.status in (GroupStatus.STALLED, GroupStatus.STOPPED)]
        behind = [g for g in groups if g.status is GroupStatus.BEHIND]
        if bad:
            words, tone = f"{len(bad)} stopped or stalled", "bad"
        elif behind:
            words, tone = f"{len(behind)} falling behind", "warn"
        else:
            words, tone = "none falls behind" if groups else "", ""
        self._tiles["groups"].show_figure(
            figures.count(len(snapshot.groups)), words, tone if tone != "bad" else "warn"
        )
        known = [g for g in groups if g.lag_records is not None]
        lag = sum(g.lag_records or 0 for g in known) if known else None
        worst = max(known, key=lambda g: g.lag_seconds or 0.0, default=None)
        note = ""
        if worst is not None and worst.lag_seconds:
            note = f"{figures.duration(worst.lag_seconds)}, {worst.group_id}"
        self._tiles["lag"].show_figure(
            figures.short(lag), note, tip=f"{figures.count(lag)} messages not yet consumed"
        )
        now = self.context.clock.now_s
        _, values = self.session.store.window(("lag",), now - SPARK_S, now)
        self._tiles["lag"].show_values(values)

    def _show_series(self, snapshot: ClusterSnapshot) -> None:
        store = self.session.store
        rates = {}
        for name, topic in snapshot.topics.items():
            last = None if topic.internal else store.last(("rate", name))
            if last is not None:
                rates[name] = last[1]
        top = sorted(sorted(rates, key=lambda name: -rates[name])[:TOPICS_SHOWN])
        colors = self.context.colors.distinct([("topic", name) for name in top])
        areas = [
            Series(("rate", name), name, color) for name, color in zip(top, colors, strict=True)
        ]
        if len(rates) > len(top):
            internal = [name for name, topic in snapshot.topics.items() if topic.internal]
            shown = tuple(("rate", name) for name in (*top, *internal))
            others = figures.plural(len(rates) - len(top), "other")
            areas.append(Series(SumOf((("rate",),), shown), others, tone="text_faint"))
        self.rates.set_series(areas)
        self._show_lags(snapshot)
        self.rates.data_changed()
        self.lags.data_changed()

    def _show_lags(self, snapshot: ClusterSnapshot) -> None:
        groups = sorted(snapshot.groups.values(), key=lambda g: -(g.lag_records or 0))
        shown = sorted(groups[:GROUPS_SHOWN], key=lambda g: g.group_id)
        for group in shown:
            # A group that reads one topic has that topic's colour: the two charts read together.
            like = ("topic", group.topics[0]) if len(group.topics) == 1 else None
            self.context.colors.color("group", group.group_id, like)
        colors = self.context.colors.distinct([("group", g.group_id) for g in shown])
        lines = [
            Series(("lag", g.group_id), g.group_id, color)
            for g, color in zip(shown, colors, strict=True)
        ]
        if len(lines) > 1:
            lines.append(Series(("lag",), "total", tone="text_faint", dashed=True))
        self.lags.set_series(lines)
        self.lags.set_nothing(
            "Waiting for the first samples" if groups else "No group has committed an offset yet"
        )

    def _show_changes(self) -> None:
        changes = self.session.changes
        newest = (
            [c for c in changes if c.at_s > self._last_at] if self._seen_changes else list(changes)
        )
        self._seen_changes += len(newest)
        if newest:
            self._last_at = max(c.at_s for c in newest)
            self.changed.changes.add(newest)
            marks = [
                Mark(
                    c.at_s,
                    c.text,
                    "warn" if "lost" in c.kind or "down" in c.kind else "text_faint",
                )
                for c in changes
                if c.broker_id is not None or "group state" in c.kind
            ]
            self.rates.set_marks(marks[-40:])
            self.lags.set_marks(marks[-40:])

    _last_at = 0.0

    def _go_to_change(self, change: Change) -> None:
        if change.topic is not None:
            self.context.navigate("topics", topic=change.topic)
        elif change.group_id is not None:
            self.context.navigate("groups", group=change.group_id)
        elif change.broker_id is not None:
            self.context.navigate("brokers", broker=change.broker_id)


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
