"""A client thread and the bridge to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gui.client_bridge import ClientBridge
from kafka_client.runtime import ClientThread


@pytest.fixture
def runner() -> Iterator[ClientThread]:
    thread = ClientThread().start()
    yield thread
    thread.stop()


@pytest.fixture
def bridge(qapp: object, runner: ClientThread) -> ClientBridge:
    return ClientBridge(runner)
