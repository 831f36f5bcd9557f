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
_BAD = frozenset((ChangeKind.BROKER_DOWN, ChangeKind.LEADER_LOST))


def marks_of(
    changes: Iterable[Change], *, topic: str = "", group: str = "", all_groups: bool = False
) -> list[Mark]:
    """Marks on the time axis, the newest ones: brokers that went down or came back, what happened
    to one topic (leader moves) or one group (rebalances), or the states of all groups."""
    marks = [
        Mark(c.at_s, c.text, "bad" if c.kind in _BAD else "text_faint")
        for c in changes
        if c.kind in _OF_BROKERS
        or (topic and c.topic == topic)
        or (group and c.group_id == group)
        or (all_groups and c.kind is ChangeKind.GROUP_STATE)
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
        top: int = 0,
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
            top=top,
            parent=parent,
        )
        panel.failed.connect(lambda sentence: self._context.notify(sentence, "bad"))
        self._panels.append(panel)
        return panel

    def _sampled(self, _round: object) -> None:
        for panel in self._panels:
            panel.data_changed()
