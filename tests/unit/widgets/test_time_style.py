from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from widgets.time_style import LOCAL, RELATIVE, UTC, TimeStyle, ago

AT = 1_700_000_000.25  # 14 November 2023, 22:13:20 UTC
DAY = 86_400


@pytest.fixture(autouse=True)
def in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose offset is not whole hours."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_that_a_moment_is_written_in_each_style() -> None:
    assert TimeStyle(LOCAL).moment(AT, AT) == "03:43:20"
    assert TimeStyle(LOCAL).moment(AT - DAY, AT) == "14 Nov 03:43:20"
    assert TimeStyle(UTC).moment(AT, AT + 60, subseconds=True) == "22:13:20.250 UTC"
    assert TimeStyle(RELATIVE).moment(AT - 125, AT) == "2 min 5 s ago"


def test_that_a_span_names_the_zone_once() -> None:
    assert TimeStyle(UTC).span(AT - 60, AT, AT) == "22:12:20 – 22:13:20 UTC"
    assert TimeStyle(LOCAL).span(AT - 60, AT, AT) == "03:42:20 – 03:43:20"


def test_that_exports_are_exact_and_name_the_offset() -> None:
    assert TimeStyle(LOCAL).exact(AT) == "2023-11-15T03:43:20.250+05:30"
    assert TimeStyle(RELATIVE).exact(AT) == "2023-11-15T03:43:20.250+05:30"
    assert TimeStyle(UTC).exact(AT) == "2023-11-14T22:13:20.250Z"


def test_that_relative_times_are_words() -> None:
    assert [ago(s) for s in (0.2, -1, -3600, 90)] == [
        "now",
        "1.0 s ago",
        "1 h ago",
        "in 1 min 30 s",
    ]


def test_that_a_change_is_emitted_once_and_nonsense_is_local(qtbot: QtBot) -> None:
    style = TimeStyle("nonsense")
    assert style.style == LOCAL
    with qtbot.waitSignal(style.changed):
        style.choose(UTC)
    with qtbot.assertNotEmitted(style.changed):
        style.choose(UTC)
    style.choose("")
    assert style.style == LOCAL
