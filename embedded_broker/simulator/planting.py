"""What a planted bug is, and the register of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Patch = Callable[[Any, str, Any], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug. ``plant`` gets a function ``patch(owner, attribute, replacement)``."""

    name: str
    text: str
    plant: Callable[[Patch], None]
    family: str = "F2"


MUTANTS: dict[str, Mutant] = {}


def mutant(text: str, family: str = "F2") -> Callable[[Any], Any]:
    """Register a function as the planted bug of its name."""

    def register(plant: Any) -> Any:
        MUTANTS[plant.__name__] = Mutant(plant.__name__, text, plant, family)
        return plant

    return register
