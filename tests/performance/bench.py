"""`make bench`: the embedded cluster beside librdkafka's mock cluster, in one run.

The mock has three brokers in one process, keeps no copies and writes no files: what a client can
reach when the cluster costs next to nothing. Both are up all the time; short bursts alternate in
shuffled order and medians are quoted, because a shared machine's speed drifts by more than what
is measured. Read the ratios and the CPU per MB. Goals stand beside the figures; exit code 1 when
one is missed by more than the floor allows (--check).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.integration.embedded import EmbeddedCluster

PARTITIONS = 4
"""As many as the mock gives to a topic."""
RECYCLE = ["--set", "log.retention.check.interval.ms=1000"]
"""Old segments go soon, so that bursts write into pages that the machine has used before; a page
that a virtual machine touches for the first time costs ten times as much."""
MOCK = """
import sys
from confluent_kafka import Producer
p = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "unused"})
m = p.list_topics(timeout=10)
print(",".join(f"{b.host}:{b.port}" for b in m.brokers.values()), flush=True)
sys.stdin.read()
"""


@dataclass
class Target:
    """A cluster under load; ``processes`` are its brokers."""

    name: str
    bootstrap: str
    processes: list[psutil.Process]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, figure: str, value: float) -> None:
        self.figures.setdefault(figure, []).append(value)

    def cpu_s(self) -> float:
        return sum(sum(p.cpu_times()[:2]) for p in self.processes)

    def median(self, figure: str) -> float:
        return statistics.median(self.figures[figure])


def burst_produce(target: Target, size: int, megabytes: int) -> None:
    """Send ``megabytes`` with acks=all as fast as the client can; MB/s and broker CPU per MB."""
    topic = f"produce-{size}"
    settings = {
        "bootstrap.servers": target.bootstrap,
        "acks": "all",
        "linger.ms": 5,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 2_000_000,
        "queue.buffering.max.kbytes": 1_048_576,
    }
    failed: list[str] = []
    producer = Producer(
        {**settings, "error_cb": lambda e: failed.append(str(e)) if e.fatal() else None}
    )
    producer.list_topics(topic, timeout=10)
    value = random.Random(size).randbytes(size)
    count = megabytes * 1_000_000 // size
    cpu, start = target.cpu_s(), time.perf_counter()
    for _ in range(count):
        producer.produce(topic, value)
    assert producer.flush(120) == 0, f"{target.name} did not take {megabytes} MB in 120 s"
    took = time.perf_counter() - start
    assert not failed, failed
    target.note(f"produce {size} B MB/s", megabytes / took)
    target.note(f"produce {size} B broker CPU ms/MB", (target.cpu_s() - cpu) * 1000 / megabytes)


def burst_consume(target: Target, size: int, megabytes: int) -> None:
    """Read what is kept of a topic from its beginning; the mock keeps 5 MB a partition."""
    topic = f"produce-{size}"
    consumer = Consumer(
        {
            "bootstrap.servers": target.bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 1,
            "queued.min.messages": 1_000_000,
        }
    )
    parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    marks = [consumer.get_watermark_offsets(p, timeout=10) for p in parts]
    keep = megabytes * 1_000_000 // size // PARTITIONS
    starts = [
        TopicPartition(topic, p.partition, max(lo, hi - keep))
        for p, (lo, hi) in zip(parts, marks, strict=True)
    ]
    wanted = sum(hi - s.offset for s, (_, hi) in zip(starts, marks, strict=True))
    cpu, begin, got = target.cpu_s(), time.perf_counter(), 0
    consumer.assign(starts)
    while got < wanted:
        messages = consumer.consume(5000, timeout=5)
        assert messages, f"{target.name} stopped at {got} of {wanted} records"
        got += len(messages)
    took = time.perf_counter() - begin
    consumer.close()
    read_mb = wanted * size / 1e6
    target.note(f"consume {size} B MB/s", read_mb / took)
    target.note(f"consume {size} B broker CPU ms/MB", (target.cpu_s() - cpu) * 1000 / read_mb)


def burst_synchronous(target: Target, count: int) -> None:
    """One record at a time, acks=all: the time of each until it is acknowledged."""
    producer = Producer({"bootstrap.servers": target.bootstrap, "acks": "all", "linger.ms": 0})
    took = []
    for i in range(count + 20):
        start = time.perf_counter()
        producer.produce("synchronous", b"x" * 100)
        producer.flush(10)
        if i >= 20:
            took.append((time.perf_counter() - start) * 1000)
    cuts = statistics.quantiles(took, n=100)
    target.note("synchronous produce p50 ms", cuts[49])
    target.note("synchronous produce p99 ms", cuts[98])


def burst_end_to_end(target: Target, count: int) -> None:
    """From produce() to the record in a consumer that waits for it."""
    topic = "end-to-end"
    producer = Producer({"bootstrap.servers": target.bootstrap, "acks": "all", "linger.ms": 0})
    consumer = Consumer(
        {
            "bootstrap.servers": target.bootstrap,
            "group.id": "bench",
            "fetch.wait.max.ms": 100,
            "enable.auto.commit": False,
        }
    )
    producer.produce(topic, b"first", partition=0)
    producer.flush(10)
    _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.assign([TopicPartition(topic, 0, high)])
    took = []
    for i in range(count + 10):
        time.sleep(0.002)
        start = time.perf_counter()
        producer.produce(topic, str(i).encode(), partition=0)
        producer.poll(0)
        message = consumer.poll(5)
        assert message is not None, f"{target.name}: no record {i} within 5 s"
        assert message.error() is None, message.error()
        if i >= 10:
            took.append((time.perf_counter() - start) * 1000)
        producer.flush(10)
    consumer.close()
    target.note("produce to consume p50 ms", statistics.median(took))


@dataclass(frozen=True)
class Goal:
    text: str
    goal: float
    floor: float
    at_least: bool
    figure: Callable[[Target, Target, dict[str, float]], float]


def ratio(figure: str) -> Callable[[Target, Target, dict[str, float]], float]:
    return lambda ours, mock, _: ours.median(figure) / mock.median(figure)


def ours(figure: str) -> Callable[[Target, Target, dict[str, float]], float]:
    return lambda ours, _mock, _: ours.median(figure)


def alone(figure: str) -> Callable[[Target, Target, dict[str, float]], float]:
    return lambda _o, _m, single: single[figure]


GOALS = [
    Goal("produce 1 KB, of the mock", 0.30, 0.15, True, ratio("produce 1000 B MB/s")),
    Goal("produce 100 B, of the mock", 0.55, 0.30, True, ratio("produce 100 B MB/s")),
    Goal("synchronous produce p50, ms", 1.0, 5.0, False, ours("synchronous produce p50 ms")),
    Goal("produce to consume p50, ms", 1.0, 5.0, False, ours("produce to consume p50 ms")),
    Goal("three brokers ready, s", 1.0, 4.0, False, alone("ready s")),
    Goal("memory of a broker, MB", 45.0, 90.0, False, alone("broker MB")),
    Goal("idle, % of a core", 1.0, 5.0, False, alone("idle %")),
    Goal("window's longest stall, 1,000 topics, ms", 50.0, 250.0, False, alone("window stall ms")),
]


def over(name: str) -> Callable[[Target, Target, dict[str, float]], float]:
    """Milliseconds of a frame above the painter of reference."""
    return lambda _o, _m, single: single[f"{name} ms"] - single[f"{name}, reference ms"]


def share(name: str) -> Callable[[Target, Target, dict[str, float]], float]:
    return lambda _o, _m, single: single[f"{name} ms"] / single[f"{name}, reference ms"]


def _first_paint_ratio(_embedded: Target, _mock: Target, single: dict[str, float]) -> float:
    return single["first paint, CPU ms"] / single["first paint, empty, CPU ms"]


GOALS += [
    Goal("frame of 8 lines, ms over the reference", 6.0, 9.0, False, over("8 lines")),
    Goal("frame of 50 lines, ms over the reference", 6.0, 9.0, False, over("50 lines")),
    Goal("frame of 200 lines, of the reference", 1.0, 1.2, False, share("200 lines")),
    Goal("frame of 8 areas, of the reference", 0.5, 0.7, False, share("8 areas")),
    Goal("frame of 50 areas, of the reference", 0.5, 0.7, False, share("50 areas")),
    Goal("frame of 200 areas, of the reference", 0.5, 0.7, False, share("200 areas")),
    Goal("tick of a chart that is not seen, ms", 0.5, 1.0, False, alone("unseen chart ms")),
    Goal("first paint, of an empty Qt window", 3.5, 5.0, False, _first_paint_ratio),
]


def of_kio(name: str) -> Callable[[Target, Target, dict[str, float]], float]:
    """The time to decode a response, of kio's native reader's."""
    return lambda _o, _m, single: single[f"decode {name} ms"] / single[f"decode {name}, kio ms"]


GOALS += [
    Goal("decode Metadata, 40,000 partitions, of kio", 2.0, 3.0, False, of_kio("Metadata")),
    Goal("decode ListOffsets, 40,000 partitions, of kio", 2.0, 3.0, False, of_kio("ListOffsets")),
    Goal("decode OffsetFetch, 40,000 partitions, of kio", 2.0, 3.0, False, of_kio("OffsetFetch")),
    Goal(
        "decode DescribeGroups, 40,000 members, of kio", 2.5, 3.5, False, of_kio("DescribeGroups")
    ),
]


def start_times(rounds: int) -> list[float]:
    """Of clusters whose modules were compiled before, as they are from a user's second start on."""
    took = []
    with tempfile.TemporaryDirectory(prefix="kafkarium-bench-compiled-") as compiled:
        own = {
            k: os.environ.pop(k, None) for k in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
        }
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        for _ in range(1 + rounds):
            start = time.perf_counter()
            with EmbeddedCluster(brokers=3):
                took.append(time.perf_counter() - start)
        del os.environ["PYTHONPYCACHEPREFIX"]
        os.environ.update({k: v for k, v in own.items() if v is not None})
    return took[1:]


def window_stall() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.window_stall"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"window stall ms": found["stall_ms"], "window thread busy ms": found["busy_ms"]}


def window_questions() -> dict[str, float]:
    """A question to the client thread, awaited, beside a callback and asyncio's wrap_future."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.window_questions"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {
        "window question us": found["await_us"],
        "window question by callback us": found["callback_us"],
        "window question by wrap_future us": found["wrap_future_us"],
        "window idle CPU ms per s": found["idle_cpu_ms_per_s"],
    }


def chart_frames() -> dict[str, float]:
    """Processor time of a frame of a live chart, beside the painter of reference."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.chart_frames"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    figures: dict[str, float] = {"unseen chart ms": 0.0}
    for name, row in json.loads(done.stdout.splitlines()[-1]).items():
        figures[f"{name} ms"], figures[f"{name}, reference ms"] = row["now"], row["before"]
        figures["unseen chart ms"] = max(figures["unseen chart ms"], row["unseen"])
    return figures


def first_paint(rounds: int = 5) -> dict[str, float]:
    """The least processor time from a start to the first paint: of the window, and of an empty Qt
    window in turn with it."""
    samples: dict[str, list[float]] = {"first paint, CPU ms": [], "first paint, empty, CPU ms": []}
    for _ in range(rounds):
        for taken, option in zip(samples.values(), ([], ["--empty"]), strict=True):
            done = subprocess.run(
                [sys.executable, "-m", "tests.performance.first_paint", *option],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            taken.append(float(done.stdout.split()[-1]))
    return {name: min(taken) for name, taken in samples.items()}


def decoding() -> dict[str, float]:
    """Processor time to decode a large cluster's responses, beside kio's native reader."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.decoding"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    figures: dict[str, float] = {}
    for name, row in json.loads(done.stdout.splitlines()[-1]).items():
        figures[f"decode {name} ms"] = row["now"]
        figures[f"decode {name}, kio ms"] = row["kio"]
    return figures


def memory_mb(processes: list[psutil.Process]) -> float:
    """The largest broker's own share (USS when the system tells, else RSS)."""
    return max(getattr(p.memory_full_info(), "uss", p.memory_info().rss) for p in processes) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument(
        "--check", action="store_true", help="exit 1 when a figure is beyond its floor"
    )
    parser.add_argument("--json", type=Path, help="write every figure here")
    options = parser.parse_args()
    single: dict[str, float] = {"ready s": statistics.median(start_times(3))}
    single.update(window_stall())
    single.update(window_questions())
    single.update(chart_frames())
    single.update(first_paint())
    single.update(decoding())
    mock_process = subprocess.Popen(
        [sys.executable, "-c", MOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert mock_process.stdout is not None
    with (
        tempfile.TemporaryDirectory(prefix="kafkarium-bench-") as folder,
        EmbeddedCluster(*RECYCLE, data_dir=Path(folder)) as up,
    ):
        brokers = [psutil.Process(up.pid(i)) for i in (1, 2, 3)]
        embedded = Target("embedded", up.bootstrap_servers, brokers)
        mock = Target(
            "mock", mock_process.stdout.readline().strip(), [psutil.Process(mock_process.pid)]
        )
        single["broker MB at rest"] = memory_mb(brokers)
        time.sleep(2)
        cpu, start = embedded.cpu_s(), time.perf_counter()
        time.sleep(5)
        single["idle %"] = (embedded.cpu_s() - cpu) * 100 / (time.perf_counter() - start)
        admin = AdminClient({"bootstrap.servers": embedded.bootstrap})
        keep = {
            "retention.bytes": "24000000",
            "segment.bytes": "12000000",
            "file.delete.delay.ms": "500",
        }
        names = ["produce-1000", "produce-100", "synchronous", "end-to-end"]
        futures = admin.create_topics([NewTopic(n, PARTITIONS, 3, config=keep) for n in names])
        for future in futures.values():
            future.result(20)
        bursts: list[Callable[[Target], None]] = [
            lambda t: burst_produce(t, 1000, options.megabytes),
            lambda t: burst_produce(t, 100, options.megabytes // 2),
            lambda t: burst_consume(t, 1000, 20),
            lambda t: burst_consume(t, 100, 20),
            lambda t: burst_synchronous(t, 300),
            lambda t: burst_end_to_end(t, 100),
        ]
        for target in (embedded, mock):
            for burst in bursts:
                burst(target)
            target.figures.clear()
        for _ in range(options.rounds):
            order = [(burst, target) for burst in bursts for target in (embedded, mock)]
            random.shuffle(order)
            for burst, target in order:
                burst(target)
        single["broker MB"] = memory_mb(brokers)
        mock_process.kill()
    mock_process.wait()
    print(f"{'figure':<40}{'embedded':>12}{'mock':>12}{'ratio':>9}")
    for figure in embedded.figures:
        a, b = embedded.median(figure), mock.median(figure)
        print(f"{figure:<40}{a:>12.3g}{b:>12.3g}{a / b if b else float('nan'):>9.2f}")
    for figure, value in single.items():
        print(f"{figure:<40}{value:>12.3g}")
    print()
    beyond = 0
    for goal in GOALS:
        value = goal.figure(embedded, mock, single)
        met = value >= goal.goal if goal.at_least else value <= goal.goal
        beyond += not (value >= goal.floor if goal.at_least else value <= goal.floor)
        sign = "at least" if goal.at_least else "at most"
        print(
            f"{goal.text:<40}{value:>12.3g}   {sign} {goal.goal:g}: {'met' if met else 'NOT met'}"
        )
    if options.json:
        figures = {t.name: {k: t.median(k) for k in t.figures} for t in (embedded, mock)}
        options.json.write_text(json.dumps({**figures, "alone": single}, indent=2))
    return 1 if options.check and beyond else 0


if __name__ == "__main__":
    sys.exit(main())
