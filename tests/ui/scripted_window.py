"""Drive the real window from a plain script, as people do who report a fault or take a picture.

The script owns a QApplication and spins Qt's event loop itself; it never starts the window's
asyncio loop. These entrances are kept stable: ``Application(qt, settings_path=...,
clusters_root=..., secrets=...)``, ``clusters.open_profile``, ``session.loaded``,
``session.state.sentence``, ``window.navigate(page, **where)``, ``window.view.widget_of(page)``, and
on Messages ``runner.running``, ``model.rowCount()`` and ``bar``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QComboBox

from gui.app import Application
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from tests.fakes.client import FakeClient
from tests.fakes.cluster import FakeCluster
from widgets.charts.time_chart import TimeChart


def wait_ms(duration_ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(duration_ms, loop.quit)
    loop.exec()


def wait_until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "nothing happened in time"
        wait_ms(20)


def main() -> int:
    qt = QApplication([sys.argv[0]])
    home = Path(tempfile.mkdtemp(prefix="scripted-window-"))
    cluster = FakeCluster(time.time)
    cluster.create("orders", 3, 2, rate_per_s=200.0)
    application = Application(
        qt,
        settings_path=home / "preferences.json",
        clusters_root=home / "clusters",
        make_client=lambda _: FakeClient(cluster),
        secrets=MemorySecrets(),
    )
    window = application.window
    window.resize(1440, 900)
    window.show()
    wait_ms(50)

    session = application.clusters.open_profile(quick("localhost:9092"), remember=False)
    wait_until(lambda: session.loaded)
    print("state:", session.state.sentence or session.state.kind)

    window.navigate("messages", topic="orders")
    messages = window.view.widget_of("messages")
    wait_until(lambda: not messages.runner.running and messages.model.rowCount() > 0)
    assert any("partition" in box.currentText() for box in messages.bar.findChildren(QComboBox))
    print("records:", messages.model.rowCount())

    window.navigate("topics", topic="orders")
    topics = window.view.widget_of("topics")
    wait_until(lambda: any(c.isVisible() for c in topics.findChildren(TimeChart)))
    assert not window.grab().isNull()

    application.close()
    print("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
