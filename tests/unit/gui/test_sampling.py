"""The sampler of a session, steered from the window's thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from gui.client_bridge import ClientBridge
from gui.sampling import Sampling
from gui.tasks import emitted
from kafka_client.sampling.store import SeriesStore
from tests.fakes.client import FakeClient


@pytest.fixture
async def sampling(qapp: object, bridge: ClientBridge) -> AsyncIterator[Sampling]:
    parent = QObject()
    made = Sampling(FakeClient(moving=False), SeriesStore(), bridge, "orders", parent)
    yield made
    await bridge.run(made.stop())
    await bridge.run(made.close_history())
    parent.deleteLater()


async def test_that_a_first_start_has_no_changes_and_brings_a_snapshot(
    sampling: Sampling, tmp_path: Path
) -> None:
    first: list[bool] = []
    sampling.snapshot_taken.connect(lambda _, changes: first.append(changes.first))
    assert await sampling.start(None, tmp_path / "history.sqlite", None) == []
    snapshot, _ = await emitted(sampling.snapshot_taken)
    assert snapshot.brokers and first[0] and not any(first[1:])
    assert sampling.history is not None and not sampling.history.error


async def test_that_focus_and_pause_before_the_start_hold_after_it(
    sampling: Sampling,
) -> None:
    sampling.focus(["email"], None)
    sampling.focus(None, ["email-senders"])
    sampling.set_paused(True)
    await sampling.start(None, None, None)
    assert sampling.focused == (("email",), ("email-senders",))
    assert sampling.history is None


async def test_that_a_history_folder_that_cannot_be_made_does_not_keep_from_sampling(
    sampling: Sampling, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    await sampling.start(None, tmp_path / "file" / "history.sqlite", None)
    snapshot, _ = await emitted(sampling.snapshot_taken)
    assert snapshot.brokers
    assert sampling.history is not None and sampling.history.error
