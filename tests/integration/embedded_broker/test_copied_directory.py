"""A copy of the running controller's directory, started beside it on another port."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.embedded import EmbeddedCluster, free_ports

TOLD_WITHIN_S = 30


def controller_of(data: Path) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for broker_id in (1, 2, 3):
            log = (data / f"broker-{broker_id}" / "broker.log").read_text()
            if "Became the active controller" in log:
                return broker_id
        time.sleep(0.05)
    raise AssertionError("no controller")


@pytest.mark.slow
def test_that_a_copy_of_the_controller_says_what_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedCluster(brokers=3, data_dir=data):
        broker_id = controller_of(data)
        copy = tmp_path / "copy"
        shutil.copytree(data / f"broker-{broker_id}", copy)
        (copy / "broker.pid").unlink()
        (copy / "broker.log").unlink()
        shutil.copy(data / "cluster.secret", tmp_path)
        properties = copy / "server.properties"
        text = properties.read_text().replace(str(data / f"broker-{broker_id}"), str(copy))
        text = re.sub(r"(listeners=\w+://[^:]*:)\d+", rf"\g<1>{free_ports(1)}", text)
        properties.write_text(text)
        command = [sys.executable, "-m", "embedded_broker", str(properties)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                told = wait_for(copy / "broker.log", "is not registered yet", process)
            finally:
                process.kill()
    assert f"in touch with a running broker {broker_id}" in told
    assert "this directory seems to be a copy" in told and "Stop one of the two" in told


def wait_for(log: Path, words: str, process: subprocess.Popen[bytes]) -> str:
    """The first line of a log with these words."""
    deadline = time.monotonic() + TOLD_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines() if log.exists() else []:
            if words in line:
                return line
        time.sleep(0.1)
    raise AssertionError(f"it has not told: {log.read_text() if log.exists() else 'no log'}")
