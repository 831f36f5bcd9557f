"""A script outside the window's own main can drive the window and take pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent


def test_that_a_plain_script_can_drive_the_window() -> None:
    script = Path(__file__).with_name("scripted_window.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=TOP,
        env=os.environ | {"PYTHONPATH": str(TOP), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "closed" in done.stdout
    assert "Traceback" not in done.stderr, done.stderr
