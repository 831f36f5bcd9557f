"""The sampler of a session: started with its history on the client thread, and steered from the
window's thread, also before it has started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, SignalInstance

from gui.client_bridge import ClientBridge
from kafka_client.changes import Change, Changes
from kafka_client.model import ClusterSnapshot, Datum
from kafka_client.sampling.state import ConnectionState, Round, Schedule

if TYPE_CHECKING:
    from kafka_client.api import ClusterClient
    from kafka_client.history import History, HistoryLimits
    from kafka_client.sampling.sampler import Sampler
    from kafka_client.sampling.store import SeriesStore

STORED_CHANGES_S = 3600.0
"""how far back the changes of an earlier run are read"""
STORED_CHANGES_KEPT = 500


class Sampling(QObject):
    """Emits what the sampler reports, in the window's thread. Its values are frozen."""

    snapshot_taken = Signal(ClusterSnapshot, Changes)
    sampled = Signal(Round)
    state_changed = Signal(ConnectionState)

    def __init__(
        self,
        client: ClusterClient,
        store: SeriesStore,
        bridge: ClientBridge,
        name: str,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._client, self._store, self._bridge, self._name = client, store, bridge, name
        self.history: History | None = None
        """set on the client thread once it is open"""
        self._sampler: Sampler | None = None
        self._paused = False
        self._topics: tuple[str, ...] = ()
        self._groups: tuple[str, ...] = ()

    async def start(
        self,
        schedule: Schedule | None,
        history_path: Path | None,
        history_limits: HistoryLimits | None,
    ) -> list[Change]:
        """Connect and sample from now on; with a path, continue the history that is stored there
        and return its last changes."""
        changes = await self._bridge.run(self._start(schedule, history_path, history_limits))
        if self._paused:
            self.set_paused(True)
        if self._topics or self._groups:
            self._focus()
        return changes

    async def _start(
        self,
        schedule: Schedule | None,
        history_path: Path | None,
        history_limits: HistoryLimits | None,
    ) -> list[Change]:
        """On the client thread."""
        from kafka_client.sampling.sampler import Sampler

        changes: list[Change] = []
        if history_path is not None:
            self.history, changes = await asyncio.to_thread(
                _open_history, history_path, self._store, history_limits
            )
        bridge = self._bridge
        sampler = Sampler(
            self._client,
            self._store,
            schedule,
            on_snapshot=lambda *args: bridge.post(self._emit, self.snapshot_taken, *args),
            on_sampled=lambda round_: bridge.post(self._emit, self.sampled, round_),
            on_state=lambda state: bridge.post(self._emit, self.state_changed, state),
            history=self.history,
            name=self._name,
        )
        self._sampler = sampler
        sampler.start()
        return changes

    def _emit(self, signal: SignalInstance, *args: object) -> None:
        """A method, so that the bridge skips it when this object is destroyed."""
        signal.emit(*args)

    def set_paused(self, paused: bool) -> None:
        self._paused = paused
        if self._sampler is not None:
            (self._sampler.pause if paused else self._sampler.resume)()

    def focus(self, topics: Iterable[str] | None, groups: Iterable[str] | None) -> None:
        """Sample these first and more often; None leaves that half as it was."""
        wanted = (
            self._topics if topics is None else tuple(topics),
            self._groups if groups is None else tuple(groups),
        )
        if wanted != (self._topics, self._groups):
            self._topics, self._groups = wanted
            self._focus()

    @property
    def focused(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(topics, groups) that are sampled first."""
        return self._topics, self._groups

    def _focus(self) -> None:
        if self._sampler is not None:
            self._sampler.focus(self._topics, self._groups)

    def refresh(self, *data: Datum) -> None:
        if self._sampler is not None:
            self._sampler.refresh(*data)

    async def stop(self) -> None:
        """On the client thread."""
        if self._sampler is not None:
            await self._sampler.stop()

    async def close_history(self) -> None:
        """On the client thread, after everything that writes into it has stopped."""
        if self.history is not None:
            await asyncio.to_thread(self.history.close)


def _open_history(
    path: Path, store: SeriesStore, limits: HistoryLimits | None
) -> tuple[History, list[Change]]:
    """On a thread that may wait for the disk."""
    from kafka_client.history import History

    history = History(path, limits=limits)
    history.fill(store)
    now_s = time.time()
    changes = history.events(now_s - STORED_CHANGES_S, now_s)
    return history, changes[-STORED_CHANGES_KEPT:]
