"""Shrinking of a failing plan: remove faults while the same check still fails (delta debugging),
then shorten the remaining ones."""

from __future__ import annotations

from collections.abc import Callable

from embedded_broker.simulator.plans import Fault


def shrink(
    faults: list[Fault], fails: Callable[[list[Fault]], bool], budget: int = 200
) -> list[Fault]:
    """Return the smallest failing plan that at most ``budget`` runs find; ``fails`` runs a plan."""
    spent = 0

    def still_fails(candidate: list[Fault]) -> bool:
        nonlocal spent
        spent += 1
        return fails(candidate)

    # Leave out one of ``parts`` slices at a time; when none can go, cut finer slices.
    parts = 2
    while len(faults) >= 2 and spent < budget:
        size = -(-len(faults) // parts)
        for start in range(0, len(faults), size):
            candidate = faults[:start] + faults[start + size :]
            if spent < budget and still_fails(candidate):
                faults, parts = candidate, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(faults), parts * 2)
    if len(faults) == 1 and spent < budget and still_fails([]):
        return []
    # Halve the duration of each remaining fault as often as possible.
    for i, fault in enumerate(faults):
        while fault["for_ms"] > 100 and spent < budget:
            shorter = fault | {"for_ms": fault["for_ms"] // 2}
            if not still_fails([*faults[:i], shorter, *faults[i + 1 :]]):
                break
            fault = shorter
            faults = [*faults[:i], fault, *faults[i + 1 :]]
    return faults
