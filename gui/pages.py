"""The pages of the window in the order of the rail. A page is imported when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from gui.navigation import Navigate
from widgets.charts.series_colors import SeriesColors

if TYPE_CHECKING:
    from gui.journal_feed import JournalFeed
    from gui.preferences import Preferences
    from gui.session import Session
    from widgets.chart_clock import ChartClock
    from widgets.theme import Theme


@dataclass(frozen=True, slots=True)
class PageContext:
    """Holds what a page works with.

    ``navigate(GroupTarget("sms"))`` shows another page; ``notify(sentence, tone)`` shows a note
    that passes by itself (tone: ok, warn, bad, accent).
    """

    session: Session
    theme: Theme
    preferences: Preferences
    clock: ChartClock
    journal: JournalFeed
    navigate: Navigate
    notify: Callable[[str, str], None]
    colors: SeriesColors = field(default_factory=SeriesColors)
    """of topics and groups in charts"""


@dataclass(frozen=True, slots=True)
class PageSpec:
    """``factory`` is ``module:Class``, called with the context.

    A page with places of its own implements ``gui.navigation.ShowsTargets``.
    """

    name: str
    title: str
    icon: str
    factory: str
    shortcut: str = ""

    def make(self, context: PageContext) -> QWidget:
        module, _, name = self.factory.partition(":")
        page_class: Callable[[PageContext], QWidget] = getattr(import_module(module), name)
        return page_class(context)


PAGES: tuple[PageSpec, ...] = (
    PageSpec("overview", "Overview", "overview", "gui.overview.page:OverviewPage", "Ctrl+1"),
    PageSpec("brokers", "Brokers", "brokers", "gui.brokers.page:BrokersPage", "Ctrl+2"),
    PageSpec("topics", "Topics", "topics", "gui.topics.page:TopicsPage", "Ctrl+3"),
    PageSpec("messages", "Messages", "messages", "gui.messages.page:MessagesPage", "Ctrl+4"),
    PageSpec("groups", "Consumer groups", "groups", "gui.groups.page:GroupsPage", "Ctrl+5"),
    PageSpec(
        "configuration",
        "Configuration",
        "configuration",
        "gui.configuration.page:ConfigurationPage",
        "Ctrl+6",
    ),
    PageSpec("journal", "Journal", "journal", "gui.journal.page:JournalPage", "Ctrl+7"),
)


def spec(name: str) -> PageSpec:
    """The page of that name. Raises: KeyError."""
    for page in PAGES:
        if page.name == name:
            return page
    raise KeyError(name)
