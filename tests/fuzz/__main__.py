"""`python -m tests.fuzz --minutes n --seed s`: hostile requests against three broker processes.

Valid requests of every API and version are changed field by field, frames are cut, batches lie with
a right checksum, calls come in the wrong order, before and after a broker's login, beside a healthy
client that produces and consumes all the time. A case follows from the seed and its number. The
last frames that were sent are in last-frames.jsonl. Exit code 0 when every check holds.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from tests.fuzz.run import LOOK_EVERY, Attack, Report, attacked

FINDINGS_MAX = 20
INSIDER_SHARE = 0.15
"""Of the time, for an attacker who knows the cluster's secret, on a cluster of its own."""


def attack_until(attack: Attack, deadline: float, first: int, cases: int | None) -> None:
    """Carry out cases from number ``first`` on."""
    for done in count():
        if time.monotonic() > deadline or done == cases:
            return
        if done % LOOK_EVERY == 0:
            if not attack.look():
                return
            attack.make_topics()
        attack.case(first + done)
        if len(attack.report.findings) >= FINDINGS_MAX:
            return


def show(report: Report, name: str) -> None:
    """Print what was done and found."""
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(report.cases.items()))
    print(
        f"fuzz: {name}: {report.sent} frames or parts in {report.cases.total()} cases ({kinds}); "
        f"{report.answered.total()} responses of {len(report.answered)} APIs parsed"
    )
    if report.calls:
        print(
            f"fuzz: healthy client: {report.calls} calls, the slowest {report.slowest_s:.2f} s "
            f"(an idle thread: {report.stall_s:.2f} s), {report.acknowledged} records acknowledged"
        )
    print(f"fuzz: a broker grew by {report.growth_bytes >> 20} MiB at most")
    for line in report.failed_requests[:20]:
        print(f"fuzz: request failed: {line}")
    for line in report.findings[:20]:
        print(f"fuzz: FOUND: {line}")


def main(arguments: list[str]) -> int:
    """Run for the given time and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to attack")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's cases")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--cases", type=int, default=None, help="how many cases, whatever the time")
    parser.add_argument("--insider", action="store_true", help="only as one who knows the secret")
    parser.add_argument("--folder", type=Path, default=None, help="where data and logs go")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fuzz: seed {seed}, data in {folder}", flush=True)
    shares = {True: INSIDER_SHARE, False: 1 - INSIDER_SHARE}
    if options.insider:
        shares = {True: 1.0}
    failed = 0
    for insider, share in sorted(shares.items()):
        report = Report(seed)
        with attacked(folder, report, insider) as attack:
            deadline = time.monotonic() + 60 * options.minutes * share
            attack_until(attack, deadline, options.first, options.cases)
        show(report, "an insider" if insider else "a stranger")
        failed += bool(report.findings or report.failed_requests)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
