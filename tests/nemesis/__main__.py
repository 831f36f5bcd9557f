"""`python -m tests.nemesis --minutes n`: random faults on three loaded broker processes.

The faults follow from the seed: kill, freeze, shut down, full disk, failing writes, no descriptors,
isolate, cut in one direction, alone or two at a time. The cluster heals after each round, and the
history of the whole run is checked at the end. Exit code 0 when every check holds.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.nemesis.namespaces import why_unavailable
from tests.nemesis.run import Run, loaded_cluster

SMALL_DISK = 2
"""The broker whose disk can be filled."""
LEAST_S, MOST_S = 0.5, 6.0
"""How long a fault lasts."""


class Faults:
    """Strikes and heals; every method that strikes returns its cure."""

    def __init__(self, run: Run, rng: random.Random) -> None:
        self._run = run
        self._rng = rng
        self.struck: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[int], Callable[[], None]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "shut down": self._shut_down,
            "fill the disk of": self._fill,
            "fail writes of": self._fail_writes,
            "take the descriptors of": self._take_descriptors,
            "isolate": self._isolate,
            "cut one way from": self._cut_one_way,
        }

    def round(self) -> None:
        """One or two faults at a time, then everything is healed."""
        cures = [self._strike() for _ in range(self._rng.choice([1, 1, 2]))]
        for cure in cures:
            cure()
        self._run.network.heal()
        for broker in self._run.brokers.ids:
            if broker not in self._run.brokers.running:
                self._run.fault(f"start {broker}")
                self._run.brokers.start(broker, wait=False)
        took = self._run.brokers.wait_until_whole(60)
        self._run.fault(f"whole after {took:.1f} s")
        self._run.writer.wait_for_acknowledgements()

    def _strike(self) -> Callable[[], None]:
        kind = self._rng.choice(sorted(self.kinds))
        broker = self._rng.choice(self._run.brokers.ids)
        if kind.startswith("fill"):
            broker = SMALL_DISK
        self.struck[kind] += 1
        self._run.fault(f"{kind} {broker}")
        cure = self.kinds[kind](broker)
        time.sleep(self._rng.uniform(LEAST_S, MOST_S))
        return cure

    def _running(self, broker: int) -> bool:
        return broker in self._run.brokers.running

    def _kill(self, broker: int) -> Callable[[], None]:
        self._run.brokers.kill(broker)
        return lambda: None

    def _shut_down(self, broker: int) -> Callable[[], None]:
        if self._running(broker):
            self._run.brokers.thaw(broker)
            self._run.brokers.terminate(broker)
        return lambda: None

    def _freeze(self, broker: int) -> Callable[[], None]:
        self._run.brokers.freeze(broker)
        return lambda: self._run.brokers.thaw(broker)

    def _fill(self, broker: int) -> Callable[[], None]:
        self._run.brokers.fill_disk(broker)
        return lambda: self._run.brokers.free_disk(broker)

    def _fail_writes(self, broker: int) -> Callable[[], None]:
        if self._running(broker):
            self._run.brokers.fail_writes(broker)
        return lambda: self._lift(broker)

    def _take_descriptors(self, broker: int) -> Callable[[], None]:
        if self._running(broker):
            self._run.brokers.exhaust_descriptors(broker)
        return lambda: self._lift(broker)

    def _lift(self, broker: int) -> None:
        if self._running(broker):
            self._run.brokers.lift_limits(broker)

    def _isolate(self, broker: int) -> Callable[[], None]:
        self._run.network.isolate(broker)
        return lambda: None

    def _cut_one_way(self, broker: int) -> Callable[[], None]:
        for other in self._run.brokers.ids:
            if other != broker:
                self._run.network.cut(broker, other)
        return lambda: None


def main(arguments: list[str]) -> int:
    """Run for the given time and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to hurt the cluster")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's faults")
    parser.add_argument("--folder", type=Path, default=None, help="where data and logs go")
    options = parser.parse_args(arguments)
    reason = why_unavailable()
    if reason is not None:
        print(f"nemesis: {reason}", file=sys.stderr)
        return 2
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="nemesis-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"nemesis: seed {seed}, data in {folder}", flush=True)
    rounds, deadline = 0, time.monotonic() + 60 * options.minutes
    with loaded_cluster(folder, small_disk=SMALL_DISK) as run:
        faults = Faults(run, random.Random(seed))
        while time.monotonic() < deadline:
            faults.round()
            rounds += 1
    acknowledged = len(run.history.of("send"))
    struck = ", ".join(f"{kind} {n}" for kind, n in sorted(faults.struck.items()))
    print(f"nemesis: {rounds} rounds, {acknowledged} records acknowledged, 0 violations ({struck})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
