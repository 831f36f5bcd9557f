"""The window's loop ends, whatever its tasks do. In a process of its own: it is the only loop."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

SCRIPT = """
    import asyncio, logging, sys
    from PySide6.QtWidgets import QApplication
    from gui import event_loop

    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    event_loop.END_S = 0.2

    async def stubborn():
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                print("cancelled")

    async def polite():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            print("polite ended")

    async def start():
        started = [asyncio.ensure_future(task) for task in (TASKS)]
        await asyncio.sleep(0.01)
        return started

    with event_loop.window_loop(QApplication([])) as loop:
        started = loop.run_until_complete(start())
    print("closed", loop.is_closed())
"""


def run(tasks: str) -> str:
    """Run a window's loop with these tasks, and return what it printed."""
    script = textwrap.dedent(SCRIPT).replace("TASKS", tasks)
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout


def test_that_the_loop_cancels_its_tasks_and_waits_for_them() -> None:
    printed = run("polite(),")
    assert printed.splitlines() == ["polite ended", "closed True"]


def test_that_a_task_that_refuses_its_cancellation_does_not_keep_the_program_alive() -> None:
    printed = run("stubborn(), polite()")
    assert "cancelled" in printed and "polite ended" in printed and "closed True" in printed
    assert "did not end in 0.2 s after its cancellation" in printed
