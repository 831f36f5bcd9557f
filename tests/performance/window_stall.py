"""How long the window's thread is blocked while it samples a cluster of 1,000 topics; one JSON
line (for bench.py)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from gui.app import Application
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import MemorySecrets
from tests.ui.conftest import large_cluster

PAGES = ("overview", "brokers", "topics", "groups")
SETTLE_S = 2.0
WATCH_S = 6.0


def wait(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def main() -> int:
    app = QApplication([])
    client = large_cluster(1000)
    with tempfile.TemporaryDirectory(prefix="kafkarium-bench-") as folder:
        root = Path(folder)
        application = Application(
            app,
            settings_path=root / "preferences.json",
            clusters_root=root / "clusters",
            make_client=lambda _: client,
            secrets=MemorySecrets(),
        )
        application.window.show()
        session = application.clusters.open_profile(
            ConnectionProfile("large", ("large:9092",)), remember=False
        )
        end = time.monotonic() + 20
        while not session.loaded and time.monotonic() < end:
            wait(0.05)
        dog, worst, busy = application.watchdog, 0.0, 0.0
        dog.start()
        for page in PAGES:
            application.window.navigate(page)
            wait(SETTLE_S)
            dog.reset()
            wait(WATCH_S)
            worst, busy = max(worst, dog.longest_ms), max(busy, dog.longest_busy_ms)
        dog.stop()
        application.close()
    print(json.dumps({"stall_ms": worst, "busy_ms": busy}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
