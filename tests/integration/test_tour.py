"""The tour beside a real Apache Kafka: every page of the real window shows it without an error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.real_kafka.launcher import RealCluster

TOPICS = {"email", "slack", "sms"}


@pytest.mark.real_kafka
@pytest.mark.timeout(240)
def test_that_the_tour_goes_through_a_real_kafka(real_kafka: RealCluster, tmp_path: Path) -> None:
    bootstrap = real_kafka.bootstrap_servers
    traffic = subprocess.Popen(
        [sys.executable, "-m", "kafka_client.demo", "--bootstrap", bootstrap],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        deadline = time.monotonic() + 30
        while not set(admin.list_topics(timeout=10).topics) >= TOPICS:
            assert time.monotonic() < deadline, "the demo's topics were not created"
            time.sleep(0.2)
        out = tmp_path / "pictures"
        command = [
            sys.executable,
            "-m",
            "gui.main",
            "tour",
            "--out",
            str(out),
            "--bootstrap",
            bootstrap,
        ]
        done = subprocess.run(
            [*command, "--themes", "light", "--fill", "8"],
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert len(list(out.glob("*.png"))) >= 10
    finally:
        assert traffic.stdin is not None
        traffic.stdin.close()
        traffic.wait(20)
