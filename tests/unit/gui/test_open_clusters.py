from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QApplication

from gui.open_clusters import Clusters
from gui.preferences import Preferences
from kafka_client.profile import ConnectionProfile
from tests.fakes.client import FakeClient


def clusters(folder: Path) -> Clusters:
    return Clusters(
        lambda _: FakeClient(moving=False),
        folder / "connections.json",
        folder / "history",
        Preferences(folder / "preferences.json"),
    )


def test_that_a_profile_that_is_open_is_shown_again(qapp: QApplication, tmp_path: Path) -> None:
    made = clusters(tmp_path)
    orders = ConnectionProfile("orders", ("orders:9092",))
    first = made.open_profile(orders)
    second = made.open_profile(ConnectionProfile("billing", ("billing:9092",)))
    assert made.shown is second
    assert made.sessions == {first.key: first, second.key: second}
    assert made.open_profile(orders) is first and made.shown is first
    assert [profile.name for profile in made.recent] == ["billing", "orders"]
    for ending in made.close_all():
        ending.result(5)
    assert made.shown is None


def test_that_connections_that_cannot_be_read_are_a_problem_to_show(
    qapp: QApplication, tmp_path: Path
) -> None:
    (tmp_path / "connections.json").write_text("{")
    made = clusters(tmp_path)
    assert made.recent == [] and "connections.json" in made.problem
