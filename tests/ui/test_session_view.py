"""The pages of a cluster: made once, shown again as they were left, and opened in further tabs."""

from __future__ import annotations

import pytest

from gui.navigation import GroupTarget, PageTarget, TopicTarget
from gui.session_view import SessionView
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


@pytest.fixture
def view(window: Window) -> SessionView:
    window.connect(FakeClient(moving=False))
    shown = window.window.view
    assert shown is not None
    return shown


def test_that_a_page_is_made_once(view: SessionView) -> None:
    view.navigate(PageTarget("journal"))
    journal = view.widget_of("journal")
    view.navigate(PageTarget("overview"))
    view.navigate(PageTarget("journal"))
    assert view.widget_of("journal") is journal and view.page == "journal"


def test_that_tabs_open_beside_the_page_and_close_again(view: SessionView) -> None:
    assert view.bar.isHidden()
    view.navigate(TopicTarget("email"), in_tab=True)
    assert not view.bar.isHidden() and view.bar.count() == 2
    assert view.bar.tabText(1) == "email" and view.page == "topics"
    view.close_tab(0)
    assert view.bar.count() == 2, "the page of the window itself stays"
    view.close_tab(1)
    assert view.bar.isHidden() and view.page == "overview"


def test_that_an_ampersand_in_a_groups_name_is_no_shortcut_of_its_tab(view: SessionView) -> None:
    view.navigate(GroupTarget("r&d"), in_tab=True)
    assert view.bar.tabText(1) == "r&&d"


def test_that_the_page_in_sight_is_announced(view: SessionView) -> None:
    shown: list[str] = []
    view.page_shown.connect(shown.append)
    view.navigate(PageTarget("brokers"))
    view.navigate(TopicTarget("email"), in_tab=True)
    assert shown == ["brokers", "topics"]
