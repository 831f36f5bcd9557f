"""Planted bugs: one at a time is patched into the core, and the simulator must notice. What it does not notice, it
does not test.

A bug is a function that patches and is undone by the context; each names the families in which it shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from embedded_broker.simulator.scenario import run_seed

Undo = list[tuple[Any, str, Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """``plant`` is handed a function ``patch(owner, name, replacement)``."""

    name: str
    text: str
    plant: Callable[[Callable[[Any, str, Any], None]], None]
    family: str = "F2"


MUTANTS: dict[str, Mutant] = {}


def mutant(text: str, family: str = "F2") -> Callable[[Any], Any]:
    def register(plant: Any) -> Any:
        MUTANTS[plant.__name__] = Mutant(plant.__name__, text, plant, family)
        return plant

    return register


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The core with this bug."""
    undo: Undo = []

    def patch(owner: Any, attribute: str, replacement: Any) -> None:
        undo.append((owner, attribute, vars(owner)[attribute]))
        setattr(owner, attribute, replacement)

    MUTANTS[name].plant(patch)
    try:
        yield
    finally:
        for owner, attribute, original in reversed(undo):
            setattr(owner, attribute, original)


def nothing() -> AbstractContextManager[None]:
    return nullcontext()


def hunt(job: tuple[str, int]) -> tuple[str, int, str, float]:
    """(name, seeds until caught or -1, how it was caught, seconds)."""
    name, budget = job
    began = time.monotonic()
    with planted(name):
        for seed in range(1, budget + 1):
            result = run_seed(seed, 3, MUTANTS[name].family)
            if result.failure:
                return name, seed, result.failure.splitlines()[0], time.monotonic() - began
    return name, -1, "", time.monotonic() - began


def run_all(budget: int, jobs: int) -> int:
    """Hunt every planted bug with at most ``budget`` seeds each. Exit code 1 when one is not caught."""
    missed = 0
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool:
        for name, seeds, how, seconds in pool.map(hunt, [(name, budget) for name in MUTANTS]):
            missed += seeds < 0
            verdict = f"caught after {seeds} seeds: {how}" if seeds > 0 else f"NOT CAUGHT in {budget} seeds"
            print(f"{name} ({seconds:.0f} s): {verdict}", flush=True)
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} planted bugs caught")
    return 1 if missed else 0
