from __future__ import annotations

import time

from pytestqt.qtbot import QtBot

from gui.watchdog import STALL_MS, Watchdog


def test_that_a_stall_of_the_window_is_measured_and_reported(qtbot: QtBot) -> None:
    watchdog = Watchdog(beat_ms=5)
    stalls: list[float] = []
    watchdog.stalled.connect(stalls.append)
    watchdog.start()
    qtbot.waitUntil(lambda: watchdog.longest_ms > 0, timeout=2000)
    busy_until = time.monotonic() + 3 * STALL_MS / 1000
    while time.monotonic() < busy_until:
        pass  # what holds a window up
    qtbot.waitUntil(lambda: bool(stalls), timeout=2000)
    assert max(stalls) >= 2 * STALL_MS and watchdog.longest_busy_ms > 0
    watchdog.reset()
    assert watchdog.longest_ms == 0 and not watchdog.stalls
    watchdog.stop()
