"""The charts of one page: they share a time axis and a crosshair, follow the session's time window
and samples, and read what memory no longer holds from the session's history."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from gui.page_kit.chart_history import ChartHistory
from gui.pages import PageContext
from kafka_client.changes import Change, ChangeKind
from widgets.charts.chart_group import ChartGroup
from widgets.charts.chart_panel import ChartPanel
from widgets.charts.model import Mark
from widgets.charts.units import COUNT, Unit

MARKS_SHOWN = 60
_OF_BROKERS = frozenset((ChangeKind.BROKER_UP, ChangeKind.BROKER_DOWN))
_OF_CLUSTER = frozenset(
    (
        ChangeKind.CONTROLLER_MOVED,
        ChangeKind.GROUP_STATE,
        ChangeKind.LEADER_LOST,
        ChangeKind.LEADER_MOVED,
    )
)
_BAD = frozenset((ChangeKind.BROKER_DOWN, ChangeKind.LEADER_LOST))


def marks_of(
    changes: Iterable[Change], *, topic: str = "", group: str = "", whole_cluster: bool = False
) -> list[Mark]:
    """Marks on the time axis, the newest ones: brokers that went down or came back, what happened
    to one topic (leader moves) or one group (rebalances); of the whole cluster, moves of leaders
    and of the controller, and the states of all groups."""
    marks = [
        Mark(c.at_s, c.text, "bad" if c.kind in _BAD else "text_faint")
        for c in changes
        if c.kind in _OF_BROKERS
        or (topic and c.topic == topic)
        or (group and c.group_id == group)
        or (whole_cluster and c.kind in _OF_CLUSTER)
    ]
    return marks[-MARKS_SHOWN:]


class PageCharts(QObject):
    """Makes the page's chart panels; ``group`` is their time axis."""

    def __init__(self, context: PageContext, page: QWidget) -> None:
        super().__init__(page)
        session = context.session
        self._context = context
        self._panels: list[ChartPanel] = []
        self.group = ChartGroup(
            context.clock,
            window_s=session.window_s,
            past=ChartHistory(session, self),
            parent=self,
        )
        session.window_changed.connect(self.group.set_window)
        session.sampled.connect(self._sampled)

    def panel(
        self,
        title: str,
        *,
        unit: Unit = COUNT,
        stacked: bool = False,
        parent: QWidget | None = None,
    ) -> ChartPanel:
        """A chart of the session's series; see ChartPanel."""
        panel = ChartPanel(
            self._context.theme,
            self._context.clock,
            self._context.session.store.window,
            title=title,
            unit=unit,
            stacked=stacked,
            group=self.group,
            parent=parent,
        )
        panel.failed.connect(lambda sentence: self._context.notify(sentence, "bad"))
        self._panels.append(panel)
        return panel

    def show_moment(self, at_s: float) -> None:
        """Stand at a moment, in the middle of the window where there is room, and point at it."""
        half = self.group.window_s / 2
        self.group.show_span(at_s - half, at_s + half)
        self.group.point_at(at_s)

    def _sampled(self, _round: object) -> None:
        for panel in self._panels:
            panel.data_changed()
