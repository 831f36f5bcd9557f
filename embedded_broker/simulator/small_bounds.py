"""Bounds of work that the short runs of a simulated cluster would never reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embedded_broker.core.api import k00_produce, slices
from embedded_broker.core.log import producers
from embedded_broker.core.quorum import applying
from embedded_broker.core.replication import changes, producer_loads

BOUNDS: tuple[tuple[Any, str, int], ...] = (
    (slices, "ITEMS_AT_ONCE", 2),
    (changes, "AT_ONCE", 2),
    (changes, "SETTINGS_AT_ONCE", 2),
    (applying, "AT_ONCE", 3),
    (producers, "SNAPSHOT_EVERY", 10),
    (producer_loads, "HEADERS_AT_ONCE", 5),
    (k00_produce, "LOAD_AT_ONCE", 5),
)


@contextmanager
def small_bounds() -> Iterator[None]:
    """Work is done in slices, and snapshots are written, while the context is open."""
    before = [getattr(module, name) for module, name, _ in BOUNDS]
    for module, name, value in BOUNDS:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(BOUNDS, before, strict=True):
            setattr(module, name, value)
