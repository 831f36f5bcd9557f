from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.unit.embedded_broker.wired import Wired, control_brokers


@pytest.fixture
def cluster() -> Iterator[Callable[..., Wired]]:
    """A started cluster of control nodes whose brokers all serve."""

    def make(brokers: int = 3, seed: int = 1, **extra: str) -> Wired:
        wired = Wired(brokers, seed, **extra)
        wired.start()
        wired.until(lambda: wired.controller() and wired.all_ready(), 10_000)
        return wired

    with control_brokers():
        yield make
