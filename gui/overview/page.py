"""The whole cluster on one page: figures, rates, lag, the groups furthest behind, what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget
from typing_extensions import override

from gui.navigation import BrokerTarget, GroupTarget, PageTarget, TopicTarget
from gui.overview import tiles
from gui.overview.change_list import ChangeList
from gui.overview.demo_panel import DemoPanel
from gui.overview.series import lag_series, rate_series, worst_groups
from gui.page_kit.card import Card
from gui.page_kit.charts import PageCharts, marks_of
from gui.page_kit.columns import status_column
from gui.page_kit.live_page import LivePage
from gui.page_kit.page_table import page_table
from gui.pages import PageContext
from gui.status import GROUP_STATUS
from kafka_client.changes import Change, Changes
from kafka_client.model import ClusterSnapshot, Group
from widgets import figures
from widgets.charts.units import COUNT, RATE
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import plain
from widgets.reflow import ReflowRow, group_of
from widgets.table_view import TableView
from widgets.tile import Tile

TILES = (
    ("brokers", "Brokers", "brokers"),
    ("partitions", "Partitions", "topics"),
    ("topics", "Topics", "topics"),
    ("groups", "Consumer groups", "groups"),
    ("lag", "Total lag", "groups"),
    ("rate", "Records in", "topics"),
    ("bytes", "Bytes in", "topics"),
)
"""name, title, page that a click opens"""
COUNT_TILES, TILE_SPACING = 4, 12

GROUP_COLUMNS: tuple[Column[Group], ...] = (
    Column("group", "Group", lambda g: g.group_id, width=88, stretch=True),
    status_column("status", "Status", lambda g: GROUP_STATUS[g.status], width=116),
    Column("lag", "Lag", lambda g: g.lag_records, text=figures.count, numeric=True, width=68,
           help="End offsets minus committed offsets, over all partitions"),
    Column("behind", "Behind by", lambda g: g.lag_seconds, text=figures.duration, numeric=True,
           width=92, help="Age of the first record not consumed yet"),
)  # fmt: skip


class OverviewPage(LivePage):
    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.setProperty("role", "body")
        self._last_change: Change | None = None
        """time of the newest change in the list"""
        self._charts = PageCharts(context, self)
        self.tiles: dict[str, Tile] = {}
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(self._make_tiles())
        if self.session.embedded is not None:
            self.demo = DemoPanel(context, content)
            layout.addWidget(self.demo)
        columns = QHBoxLayout()
        columns.setSpacing(16)
        columns.addLayout(self._make_charts(), 7)
        columns.addLayout(self._make_lists(), 5)
        layout.addLayout(columns, 1)
        self.set_content(content)
        self.setFocusProxy(self._group_table)

    # ---- parts

    def _make_tiles(self) -> ReflowRow:
        """Counts and flows in one row, or in two where there is less room."""
        for name, title, page in TILES:
            tile = Tile(self.theme, title)
            tile.clicked.connect(lambda page=page: self.context.navigate(PageTarget(page)))
            self.tiles[name] = tile
        tiles = list(self.tiles.values())
        counts, flows = tiles[:COUNT_TILES], tiles[COUNT_TILES:]
        return ReflowRow(
            group_of(*counts, spacing=TILE_SPACING, fill=True),
            group_of(*flows, spacing=TILE_SPACING, fill=True),
            spacing=TILE_SPACING,
            stretches=(len(counts), len(flows)),
        )

    def _make_charts(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(16)
        self.rates = self._charts.panel("Records in per topic", unit=RATE, stacked=True)
        self.lags = self._charts.panel("Lag per group", unit=COUNT)
        for chart in (self.rates, self.lags):
            card = Card()
            card.column.addWidget(chart)
            column.addWidget(card, 1)
        return column

    def _make_lists(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(16)
        groups = Card("Groups furthest behind")
        self._group_table = self._make_group_table()
        groups.column.addWidget(self._group_table)
        changed = Card()
        changed.column.setContentsMargins(4, 12, 4, 4)
        head = plain("What changed", changed, role="strong")
        head.setContentsMargins(12, 0, 0, 0)
        changed.column.addWidget(head)
        self.changed = ChangeList(self.theme)
        self.changed.change_chosen.connect(lambda change: self._charts.show_moment(change.at_s))
        self.changed.change_opened.connect(self._open_change)
        changed.column.addWidget(self.changed)
        column.addWidget(groups, 2)
        column.addWidget(changed, 3)
        return column

    def _make_group_table(self) -> TableView[Group]:
        self.groups: KeyedTableModel[Group] = KeyedTableModel(
            GROUP_COLUMNS, key=lambda g: g.group_id, parent=self
        )
        return page_table(
            self.context,
            self.groups,
            name="overview-groups",
            noun="group",
            toolbar=False,
            remembered=False,
            sort="-lag",
            opened=lambda group, tab: self.context.navigate(GroupTarget(group.group_id), tab),
            empty=(
                "groups",
                "No consumer groups",
                "A group appears when its first consumer joins.",
            ),
        )

    # ---- showing

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        self._show_tiles(snapshot)
        self._show_series(snapshot)
        self.groups.merge(worst_groups(snapshot.groups.values()))
        self._show_changes()

    def _show_tiles(self, snapshot: ClusterSnapshot) -> None:
        tally = self.session.tally
        self._show_tile("brokers", tiles.broker_tile(snapshot))
        self._show_tile("partitions", tiles.partition_tile(tally))
        self._show_tile("topics", tiles.topic_tile(tally))
        self._show_tile("groups", tiles.group_tile(snapshot))
        self._show_tile("lag", tiles.lag_tile(snapshot))
        self.tiles["lag"].show_values(self._recent(("lag",)))
        internal = [name for name, topic in snapshot.topics.items() if topic.internal]
        self._show_rate_tile("rate", internal, figures.rate)
        self._show_rate_tile("bytes", internal, figures.size_rate)

    def _show_tile(self, name: str, content: tiles.TileContent) -> None:
        self.tiles[name].show_figure(
            content.figure, content.note, content.tone, aside=content.aside, tip=content.tip
        )

    def _show_rate_tile(
        self, kind: str, internal: list[str], form: Callable[[float | None], str]
    ) -> None:
        values = tiles.without_internal(
            self._recent((kind,)), [self._recent((kind, name)) for name in internal]
        )
        into_internal = sum(self._last((kind, name)) or 0.0 for name in internal)
        content = tiles.rate_tile(self._last((kind,)), into_internal, values, form)
        self._show_tile(kind, content)
        self.tiles[kind].show_values(values)

    def _recent(self, series: tuple[str, ...]) -> tiles.Floats:
        now = self.context.clock.now_s
        return self.session.store.window(series, now - tiles.MEAN_OVER_S, now)[1]

    def _last(self, series: tuple[str, ...]) -> float | None:
        last = self.session.store.last(series)
        return None if last is None else last[1]

    def _show_series(self, snapshot: ClusterSnapshot) -> None:
        topics, colors = snapshot.topics, self.context.colors
        internal = [name for name, topic in topics.items() if topic.internal]
        rates = {
            name: rate
            for name, topic in topics.items()
            if not topic.internal and (rate := self._last(("rate", name))) is not None
        }
        self.rates.set_series(rate_series(rates, internal, colors))
        self.lags.set_series(lag_series(snapshot, colors))
        self.lags.set_nothing(
            "Waiting for the first samples"
            if snapshot.groups
            else "No group has committed offsets yet"
        )
        self.rates.data_changed()
        self.lags.data_changed()

    def _show_changes(self) -> None:
        changes = self.session.changes
        newest = changes_after(self._last_change, changes)
        if newest:
            self._last_change = newest[-1]
            self.changed.changes.add(newest)
            marks = marks_of(changes, whole_cluster=True)
            self.rates.set_marks(marks)
            self.lags.set_marks(marks)

    def _open_change(self, change: Change) -> None:
        go = self.context.navigate
        if change.topic is not None:
            go(TopicTarget(change.topic))
        elif change.group_id is not None:
            go(GroupTarget(change.group_id))
        elif change.broker_id is not None:
            go(BrokerTarget(change.broker_id))


def changes_after(last: Change | None, changes: Sequence[Change]) -> list[Change]:
    """The changes behind ``last``; all of them when it is not there any more. Not by time: the
    clock may have been set back."""
    for index in range(len(changes) - 1, -1, -1):
        if changes[index] is last:
            return list(changes[index + 1 :])
    return list(changes)
