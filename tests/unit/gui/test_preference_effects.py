"""What a changed preference does to what is open."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PySide6.QtCore import QObject

from gui.preference_effects import PreferenceEffects
from gui.preferences import (
    EARLIER_FOLDERS,
    EMBEDDED_FOLDER,
    HISTORY_DAYS,
    SAMPLING_FOCUS_S,
    Preferences,
)
from kafka_client.history import HistoryLimits


class Embedded:
    """Records the folders that it is told to use."""

    def __init__(self) -> None:
        self.root = Path("/nowhere")
        self.earlier: list[Path] = []

    def use_root(self, root: Path, earlier: list[Path]) -> None:
        self.root, self.earlier = root, list(earlier)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.owner = QObject()
        self.preferences = Preferences(folder / "p.json")
        self.histories = [SimpleNamespace(limits=HistoryLimits()), None]
        sessions = {i: SimpleNamespace(history=h) for i, h in enumerate(self.histories)}
        clusters: Any = SimpleNamespace(sessions=sessions)
        self.embedded = cast(Any, Embedded())
        self.effects = PreferenceEffects(
            self.preferences, clusters, self.embedded, folder / "default", self.owner
        )


@pytest.fixture
def bench(qapp: object, tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_that_the_default_folder_is_used_at_first(bench: Bench, tmp_path: Path) -> None:
    assert bench.embedded.root == tmp_path / "default"


def test_that_every_folder_that_was_used_stays_known(bench: Bench, tmp_path: Path) -> None:
    bench.preferences.set(EMBEDDED_FOLDER, str(tmp_path / "a"))
    bench.preferences.set(EMBEDDED_FOLDER, str(tmp_path / "b"))
    assert bench.embedded.root == tmp_path / "b"
    assert {tmp_path / "default", tmp_path / "a"} <= set(bench.embedded.earlier)
    assert str(tmp_path / "a") in bench.preferences.get(EARLIER_FOLDERS)
    bench.preferences.set(EMBEDDED_FOLDER, "")
    assert bench.embedded.root == tmp_path / "default"


def test_that_open_histories_get_the_new_limits_and_closed_ones_do_no_harm(bench: Bench) -> None:
    bench.preferences.set(HISTORY_DAYS, 2.0)
    history = bench.histories[0]
    assert history is not None and history.limits == HistoryLimits(days=2.0)


def test_that_sampling_of_open_connections_stays(bench: Bench) -> None:
    history = bench.histories[0]
    assert history is not None
    before = history.limits
    bench.preferences.set(SAMPLING_FOCUS_S, 9.0)
    assert history.limits is before
