from __future__ import annotations

from typing import Any

from widgets.charts.series_colors import PALETTE, REMEMBERED_MOST, SeriesColors
from widgets.theme import DARK, LIGHT


class Memory:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def set_value(self, name: str, value: Any) -> None:
        self.values[name] = value


def test_that_the_palette_is_the_themes() -> None:
    assert len(DARK.series) == len(LIGHT.series) == PALETTE


def test_that_a_group_keeps_its_colour_after_a_restart_and_on_all_pages() -> None:
    memory = Memory()
    first = SeriesColors(memory, "prod")
    before = {name: first.color("group", name) for name in ("billing", "mail", "audit")}
    assert len(set(before.values())) == 3
    again = SeriesColors(memory, "prod")
    assert {name: again.color("group", name) for name in reversed(before)} == before


def test_that_two_clusters_do_not_mix() -> None:
    memory = Memory()
    SeriesColors(memory, "prod").color("group", "a")
    other = SeriesColors(memory, "test")
    assert other.color("group", "b") == 0
    assert set(memory.values["charts/colors"]) == {"prod", "test"}


def test_that_shown_together_no_two_share_a_colour_while_one_is_free() -> None:
    colors = SeriesColors()
    for i in range(30):
        colors.color("topic", f"t{i}")
    together = colors.distinct([("topic", f"t{i}") for i in (0, 8, 16, 3)])
    assert together[0] == colors.color("topic", "t0") and together[3] == colors.color("topic", "t3")
    assert len(set(together)) == 4
    assert len(set(colors.distinct([("topic", f"t{i}") for i in range(20)]))) == PALETTE


def test_that_a_group_looks_like_the_one_topic_it_reads() -> None:
    colors = SeriesColors()
    colors.color("topic", "a")
    topic = colors.color("topic", "b")
    assert colors.color("group", "reads-b", ("topic", "b")) == topic
    assert colors.color("group", "reads-b-too", ("topic", "b")) != topic


def test_that_what_is_kept_is_bounded_and_damage_is_ignored() -> None:
    memory = Memory()
    colors = SeriesColors(memory, "c")
    for i in range(REMEMBERED_MOST + 50):
        colors.color("topic", str(i))
    assert len(memory.values["charts/colors"]["c"]) == REMEMBERED_MOST
    memory.values["charts/colors"] = {"c": {"group:x": "red", "group:y": 99}}
    assert SeriesColors(memory, "c").color("group", "y") == 99 % PALETTE
    memory.values["charts/colors"] = "nonsense"
    assert SeriesColors(memory, "c").color("group", "x") == 0
