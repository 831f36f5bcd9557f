"""Processor time from the start of the process to the first paint of the window, in milliseconds.

One process is one sample: bench.py starts several and takes the least, since a busy machine only
adds. Imports, the Application and the first paint event of its window are in it; what ``preload``
does afterwards (pages, pyqtgraph) is not. With ``--empty`` the window is a bare QWidget: what Qt
itself costs, to compare with.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget


class FirstPaint(QObject):
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            print(f"{time.process_time() * 1000:.0f}", flush=True)
            os._exit(0)
        return False


def application_window(qt: QApplication) -> QWidget:
    from gui.app import Application
    from kafka_client.secrets import MemorySecrets

    home = Path(tempfile.mkdtemp(prefix="kafkarium-first-paint-"))
    application = Application(
        qt,
        settings_path=home / "preferences.json",
        clusters_root=home / "clusters",
        secrets=MemorySecrets(),
    )
    return application.window


def main() -> int:
    qt = QApplication([sys.argv[0]])
    window = QWidget() if "--empty" in sys.argv else application_window(qt)
    first = FirstPaint()
    window.installEventFilter(first)
    window.show()
    return qt.exec()


if __name__ == "__main__":
    sys.exit(main())
