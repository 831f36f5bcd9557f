"""The pages that the window knows, by name: in the order of the rail. A page is imported when it
is first opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QWidget

from gui.navigation import Navigate
from widgets.charts.series_colors import SeriesColors

if TYPE_CHECKING:
    from gui.preferences import Preferences
    from gui.session import Session
    from widgets.chart_clock import ChartClock
    from widgets.theme import Theme


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page is given. ``navigate(GroupTarget("sms"))`` opens another page;
    ``notify(sentence, tone)`` shows a passing note (tone: ok, warn, bad, accent)."""

    session: Session
    theme: Theme
    preferences: Preferences
    clock: ChartClock
    navigate: Navigate
    notify: Callable[[str, str], None]
    colors: SeriesColors = field(default_factory=SeriesColors)
    """of topics and groups in charts"""


@dataclass(frozen=True, slots=True)
class PageSpec:
    """``factory`` is ``module:Class``, called with the context; the page may implement
    ``gui.navigation.ShowsTargets``."""

    name: str
    title: str
    icon: str
    factory: str
    shortcut: str = ""
    embedded_only: bool = False

    def make(self, context: PageContext) -> QWidget:
        module, _, name = self.factory.partition(":")
        maker: Any = getattr(import_module(module), name)
        page = maker(context)
        assert isinstance(page, QWidget)
        return page


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
)


def spec(name: str) -> PageSpec:
    """Raises: KeyError for a name that is no page's."""
    for page in PAGES:
        if page.name == name:
            return page
    raise KeyError(name)
