"""A running broker's shell, and another that dials it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.embedded_broker.shell.dialling import Dialler
from tests.unit.embedded_broker.shell.fakes import Served, served


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def dialler(broker: Served) -> Iterator[Dialler]:
    found = Dialler()
    found.peers.set_address(1, "127.0.0.1", broker.port)
    yield found
    found.stop()
