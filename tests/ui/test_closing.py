"""The end of the window: nothing is left running, whatever was going on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from gui.preferences import MAXIMISED, WINDOW_SIZE
from gui.tasks import after
from tests.fakes.client import FakeClient
from tests.ui.conftest import Window


@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends the process there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_that_a_signal_ends_the_program_in_order(number: int, tmp_path: Path) -> None:
    homes = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE")}
    program = subprocess.Popen(
        [sys.executable, "-W", "always", "-m", "gui.main", "--connect", "127.0.0.1:9"],
        env=os.environ | homes | {"QT_QPA_PLATFORM": "offscreen"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("DATA/**/*.sqlite")) and time.monotonic() < deadline:
        time.sleep(0.05)
    program.send_signal(number)
    _, errors = program.communicate(timeout=30)
    lines = [line for line in errors.splitlines() if "This plugin does not support" not in line]
    assert (program.returncode, lines) == (0, [])


async def test_that_closing_cancels_the_tasks_of_the_application_and_its_sessions(
    window: Window,
) -> None:
    application = window.application
    client = FakeClient(moving=False)
    window.clients.append(client)
    from kafka_client.profile import quick

    session = application.clusters.open_profile(quick("orders:9092"), remember=False)
    client.delay_s = 60.0
    ended: list[str] = []

    async def endless(name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)

    application.tasks.start(endless("application"))
    session.tasks.start(endless("session"), QObject(application))
    question = session.tasks.start(session.ask(lambda c: c.metadata()))
    await after(10)
    application.close()
    await asyncio.wait([question])
    await after(1)
    assert question.cancelled() and sorted(ended) == ["application", "session"]


async def test_that_a_dialog_that_is_open_does_not_keep_the_window(window: Window) -> None:
    application = window.application
    application.open_connect_dialog()
    await after(10)
    application.window.close()
    await application.ended
    await after(1)
    assert not application.window.isVisible() and application.tasks.running == 0


async def test_that_a_maximised_window_is_maximised_again_and_keeps_its_other_size(
    window: Window,
) -> None:
    application = window.application
    application.window.resize(1100, 700)
    application.window.showMaximized()
    await after(10)
    application.window.close()
    await application.ended
    preferences = application.preferences
    assert preferences.get(MAXIMISED)
    assert preferences.get(WINDOW_SIZE) == (1100, 700)
