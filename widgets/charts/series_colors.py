"""Which colour a thing has in charts. It belongs to the thing: a group has one colour on all pages
and after a restart. Two things in one chart share a colour only when the palette is used up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

PALETTE = 8
"""The theme has so many series colours."""
REMEMBERED_MOST = 400
"""Things of one cluster whose colours are kept; those assigned first are forgotten first."""
PREFERENCE = "charts/colors"

Thing = tuple[str, str]
"""(kind, name), e.g. ("group", "billing")"""


def spread(wanted: Sequence[int]) -> list[int]:
    """The wanted colours; where two are one, the later one is replaced by a colour that none
    wants, as long as there is one."""
    taken: set[int] = set()
    free = [color for color in range(PALETTE) if color not in {w % PALETTE for w in wanted}]
    made = []
    for color in (w % PALETTE for w in wanted):
        chosen = free.pop(0) if color in taken and free else color
        taken.add(chosen)
        made.append(chosen)
    return made


class Memory(Protocol):
    """Keeps colours over restarts: the window's preferences."""

    def value(self, name: str, default: Any = None) -> Any: ...
    def set_value(self, name: str, value: Any) -> None: ...


class SeriesColors:
    """Of one cluster. Without a memory, colours last as long as this object."""

    def __init__(self, memory: Memory | None = None, cluster: str = "") -> None:
        self._memory, self._cluster = memory, cluster
        self._colors: dict[str, int] = {}
        kept = memory.value(PREFERENCE, {}) if memory is not None else {}
        mine = kept.get(cluster) if isinstance(kept, dict) else None
        if isinstance(mine, dict):
            self._colors = {
                str(thing): color % PALETTE
                for thing, color in mine.items()
                if isinstance(color, int)
            }

    def color(self, kind: str, name: str, like: Thing | None = None) -> int:
        """The thing's index into the theme's series colours. A new thing gets the colour that
        the fewest of its kind have, or that of ``like`` while none of its kind has it."""
        thing = f"{kind}:{name}"
        known = self._colors.get(thing)
        if known is not None:
            return known
        used = Counter(c for t, c in self._colors.items() if t.startswith(f"{kind}:"))
        chosen = min(range(PALETTE), key=lambda color: (used[color], color))
        if like is not None:
            wanted = self.color(*like)
            if not used[wanted]:
                chosen = wanted
        self._colors[thing] = chosen
        while len(self._colors) > REMEMBERED_MOST:
            del self._colors[next(iter(self._colors))]
        self._remember()
        return chosen

    def distinct(self, things: Sequence[Thing]) -> list[int]:
        """Colours for things that are shown together: each its own, and another free one where
        two would share one."""
        return spread([self.color(kind, name) for kind, name in things])

    def _remember(self) -> None:
        if self._memory is not None:
            kept = self._memory.value(PREFERENCE, {})
            everything = dict(kept) if isinstance(kept, dict) else {}
            everything[self._cluster] = dict(self._colors)
            self._memory.set_value(PREFERENCE, everything)
