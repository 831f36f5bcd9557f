"""The sampler and the demo's traffic over an embedded cluster whose brokers are killed, frozen
and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from embedded_broker import ClusterSpec, LocalCluster
from kafka_client.gateway import open_client
from kafka_client.profile import quick
from kafka_client.runtime import ClientThread
from kafka_client.sampling import ConnectionKind, Sampler, SeriesStore
from kafka_client.sampling.store import Series


class Watch:
    """A sampler on a client thread, and the texts of its events."""

    def __init__(self, bootstrap: str) -> None:
        self.store = SeriesStore()
        self.texts: list[str] = []
        self.thread = ClientThread("kafka-client-trouble").start()
        self.client = open_client(quick(bootstrap))
        self.sampler = Sampler(self.client, self.store, on_snapshot=self._on_snapshot)

        async def start() -> None:
            self.sampler.start()

        self.thread.submit(start()).result(5)

    def _on_snapshot(self, snapshot, changes) -> None:
        self.texts += [event.text for event in changes.events]

    def until(self, holds, seconds: float) -> float:
        """Seconds it took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, (self.sampler.state, self.texts[-8:])
            time.sleep(0.02)
        return time.monotonic() - began

    def state(self, kind: ConnectionKind):
        return lambda: self.sampler.state.kind is kind

    def sampled_at(self, series: Series) -> float:
        newest = self.store.last(series)
        assert newest is not None
        return newest[0]

    def close(self) -> None:
        self.thread.submit(self.sampler.stop()).result(5)
        self.thread.submit(self.client.close()).result(5)
        assert self.thread.stop()


class Traffic:
    """The demo process, and its last status."""

    def __init__(self, bootstrap: str) -> None:
        command = [
            sys.executable,
            "-m",
            "kafka_client.demo",
            "--bootstrap",
            bootstrap,
            "--rate",
            "2",
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.status: dict[str, float] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.status = json.loads(line)

    def flows(self) -> bool:
        return self.status.get("produced_per_s", 0) > 20

    def close(self) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(10)
        self._reader.join(2)
        self.process.stdout.close()
        return code


@pytest.fixture
def cluster(tmp_path):
    running = LocalCluster(
        ClusterSpec(tmp_path / "cluster", brokers=3, port=0, restart_after_s=None)
    )
    running.start()
    yield running
    running.stop()


@pytest.mark.slow
def test_that_sampling_and_traffic_survive_killed_frozen_and_restarted_brokers(cluster):
    traffic = Traffic(cluster.bootstrap_servers)
    watch = Watch(cluster.bootstrap_servers)
    try:
        watch.until(watch.state(ConnectionKind.CONNECTED), 5)
        watch.until(lambda: watch.store.last(("lag", "sms-senders")) and traffic.flows(), 20)

        cluster.kill(2)
        watch.until(watch.state(ConnectionKind.DEGRADED), 3)
        watch.until(lambda: "Broker 2 is down" in watch.texts, 8)
        before = watch.sampled_at(("rate", "email"))
        watch.until(lambda: watch.sampled_at(("rate", "email")) > before + 1, 8)
        watch.until(traffic.flows, 12)
        cluster.start_broker(2)
        watch.until(watch.state(ConnectionKind.CONNECTED), 8)

        cluster.freeze(1)
        watch.until(watch.state(ConnectionKind.DEGRADED), 8)
        samples = len(watch.store.window(("rate", "email"), 0, 1e12)[0])
        watch.until(
            lambda: len(watch.store.window(("rate", "email"), 0, 1e12)[0]) > samples + 2, 12
        )
        cluster.thaw(1)
        watch.until(watch.state(ConnectionKind.CONNECTED), 8)

        for broker_id in (1, 2, 3):
            cluster.kill(broker_id)
        watch.until(watch.state(ConnectionKind.LOST), 6)
        assert watch.sampler.state.sentence.startswith("Nothing listens on 127.0.0.1:")
        assert watch.sampler.snapshot.topics["email"].partitions[0].high_watermark
        values = watch.store.window(("rate", "email"), 0, 1e12)[1]
        watch.until(lambda: np.isnan(watch.store.window(("rate", "email"), 0, 1e12)[1][-1]), 6)
        assert len(values)
        for broker_id in (1, 2, 3):
            cluster.start_broker(broker_id)
        watch.until(watch.state(ConnectionKind.CONNECTED), 10)
        watch.until(traffic.flows, 15)
    finally:
        watch.close()
        code = traffic.close()
    assert code == 0
