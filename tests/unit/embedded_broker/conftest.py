from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.embedded_broker.wired import Wired


@pytest.fixture
def cluster() -> Callable[..., Wired]:
    """Start a cluster of control nodes and wait until all its brokers serve."""

    def make(brokers: int = 3, seed: int = 1, **extra: str) -> Wired:
        wired = Wired(brokers, seed, **extra)
        wired.start()
        wired.until(lambda: wired.controller() and wired.all_ready(), 10_000)
        return wired

    return make
