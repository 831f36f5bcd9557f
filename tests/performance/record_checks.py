"""What the check of every produced record costs: two clusters, with and without, in one run.

Bursts of librdkafka's producer alternate between them in shuffled order. Prints, for each
compression and size of values, both rates, and the loss as a percentage of the rate without.
``python -m tests.performance.record_checks [--rounds n]``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.integration.embedded import EmbeddedCluster

CASES = [("none", 1000), ("lz4", 1000), ("zstd", 1000), ("none", 100), ("lz4", 100)]
MEGABYTES = 60
RECYCLE = ["--set", "log.retention.check.interval.ms=1000"]


def values(size: int) -> list[bytes]:
    """JSON of about ``size`` bytes, so that compression has something to do."""
    rng = random.Random(size)
    found = []
    for number in range(256):
        fields = {"id": number, "text": rng.randbytes(size // 4).hex(), "state": "open"}
        text = json.dumps(fields).encode()
        found.append((text + b" " * size)[:size])
    return found


def burst(bootstrap: str, codec: str, size: int) -> float:
    """Send MEGABYTES with acks=all as fast as the client can; returns MB/s."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "compression.type": codec,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )
    topic = f"{codec}-{size}"
    producer.list_topics(topic, timeout=10)
    some = values(size)
    start = time.perf_counter()
    for number in range(MEGABYTES * 1_000_000 // size):
        producer.produce(topic, some[number % 256])
    assert producer.flush(120) == 0
    return MEGABYTES / (time.perf_counter() - start)


def main() -> None:
    """Run the rounds and print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    rng = random.Random(1)
    without_checks = [*RECYCLE, "--set", "log.validate.records=false"]
    with EmbeddedCluster(*RECYCLE) as checked, EmbeddedCluster(*without_checks) as plain:
        clusters = {"with": checked, "without": plain}
        brokers = {name: _brokers(cluster) for name, cluster in clusters.items()}
        for cluster in clusters.values():
            admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
            config = {"retention.bytes": "60000000", "segment.bytes": "20000000"}
            new = [NewTopic(f"{codec}-{size}", 4, 3, config=config) for codec, size in CASES]
            for future in admin.create_topics(new).values():
                future.result(20)
        for codec, size in CASES:
            rates: dict[str, list[float]] = {name: [] for name in clusters}
            cpu: dict[str, list[float]] = {name: [] for name in clusters}
            for _ in range(rounds):
                for name in rng.sample(sorted(clusters), 2):
                    before = _cpu_s(brokers[name])
                    rates[name].append(burst(clusters[name].bootstrap_servers, codec, size))
                    cpu[name].append((_cpu_s(brokers[name]) - before) * 1000 / MEGABYTES)
            with_, without = (statistics.median(rates[name]) for name in ("with", "without"))
            spent, saved = (statistics.median(cpu[name]) for name in ("with", "without"))
            print(
                f"{codec:4} {size:5} B: {with_:6.1f} MB/s with, {without:6.1f} without:"
                f" {100 * (1 - with_ / without):5.1f} % lost;"
                f" broker CPU {spent:.2f} and {saved:.2f} ms/MB",
                flush=True,
            )


def _brokers(cluster: EmbeddedCluster) -> list[psutil.Process]:
    return psutil.Process(cluster.process.pid).children(recursive=True)


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    main()
