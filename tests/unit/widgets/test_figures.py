from __future__ import annotations

import pytest

from widgets import figures


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"), (0, "0 s"), (0.25, "250 ms"), (5.04, "5.0 s"), (59.7, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"), (7260, "2 h 1 min"), (200_000, "2 d 7 h"), (float("inf"), "∞"),
    ],
)  # fmt: skip
def test_that_durations_read_as_people_say_them(seconds: float | None, words: str) -> None:
    assert figures.duration(seconds) == words


def test_that_figures_are_short_and_have_separators() -> None:
    assert figures.count(1234567) == "1,234,567"
    assert figures.short(12_345) == "12.3 k"
    assert figures.short(999_960) == "1.0 M"
    assert figures.short(0) == "0"
    assert figures.size(1536) == "1.5 KiB"
    assert figures.size(500) == "500 B"
    assert figures.rate(0.25) == "0.25/s"
    assert figures.rate(1234.5) == "1,234/s"
    assert figures.rate(None) == "–"
