"""``python -m embedded_broker.simulator``: run seeds, replay one, or hunt planted bugs.

The exit code is 0 when every seed passed, or every planted bug was caught, else 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path

from embedded_broker.simulator import history, ledger, mutants
from embedded_broker.simulator.plans import Fault
from embedded_broker.simulator.scenario import FAMILIES, Result, run_seed
from embedded_broker.simulator.shrink import shrink
from embedded_broker.simulator.transcript import KEPT_LINES, Transcript, headline

TRACE_LINES = 40
Job = tuple[int, int, str]


def one(job: Job) -> Result:
    """Run a seed of a campaign; the result of a pass travels without its plan."""
    seed, brokers, family = job
    result = run_seed(seed, brokers, family)
    if not result.failure:
        result.plan = []
    return result


def run_many(jobs: list[Job], processes: int) -> Iterator[Result]:
    """Run seeds in so many processes; results come in the order of the jobs."""
    gc.freeze()  # the forked processes share what is imported
    if processes <= 1:
        yield from map(one, jobs)
        return
    with ProcessPoolExecutor(processes, get_context("fork")) as pool:
        yield from pool.map(one, jobs, chunksize=4)


def command(result: Result) -> str:
    """Return the command line that replays a result."""
    return (
        f"python -m embedded_broker.simulator --replay {result.seed} --brokers {result.brokers} "
        f"--family {result.family}"
    )


def report(results: Iterable[Result], total: int) -> list[Result]:
    """Print failures as they come, each with the command that replays it."""
    done = []
    for result in results:
        done.append(result)
        if result.failure:
            first = result.failure.strip().splitlines()
            cluster = f"{result.family}, brokers: {result.brokers}"
            print(f"seed {result.seed} ({cluster}) failed: {first[0]}")
            if len(first) > 1 and result.check in ("crash", "bug"):
                print(f"    {first[-1]}")
            print(f"    replay: {command(result)}", flush=True)
        elif len(done) % 100 == 0:
            print(f"    {len(done)} of {total}", flush=True)
    return done


def campaign(args: argparse.Namespace) -> int:
    """Run seeds for every number of brokers and family; returns the exit code."""
    failed = 0
    for brokers in args.brokers:
        for family in args.family:
            seeds = range(args.first, args.first + args.seeds)
            began = time.monotonic()
            results = report(run_many([(s, brokers, family) for s in seeds], args.jobs), len(seeds))
            totals = ledger.summary(results, time.monotonic() - began)
            failed += sum(bool(r.failure) for r in results)
            print(f"{family}, brokers {brokers}: {json.dumps(totals)}", flush=True)
            if args.ledger:
                ledger.append(Path(args.ledger), family, brokers, args.first, totals)
    return 1 if failed else 0


def replay(args: argparse.Namespace) -> int:
    """Run one seed again, print its trace, and shrink its plan if wanted; returns the exit code."""
    brokers, family = args.brokers[0], args.family[0]
    faults: list[Fault] | None = json.loads(Path(args.plan).read_text()) if args.plan else None
    with mutants.planted(args.mutant) if args.mutant else nullcontext():
        watch = print if args.trace else None
        text = Transcript(args.only, args.topic, args.lines or KEPT_LINES)
        transcript = text if args.transcript else None
        result = run_seed(args.replay, brokers, family, faults, watch, True, transcript)
        if args.transcript:
            print("\n".join(text.lines()))
        print(
            f"trace {result.trace_hash}, events: {result.events}, "
            f"{result.simulated_ms / 1000:.1f} s simulated"
        )
        print(json.dumps(result.counts))
        if args.history:
            history.write(Path(args.history), result.operations)
        if not result.failure:
            print(f"seed {result.seed} passed")
            return 0
        if not args.trace and not args.transcript:
            print("\n".join(result.lines[-(args.lines or TRACE_LINES) :]))
        print(result.failure)
        print(f"plan of {len(result.plan)}: {json.dumps(result.plan)}")
        if args.shrink:

            def fails(candidate: list[Fault]) -> bool:
                return run_seed(args.replay, brokers, family, candidate).check == result.check

            print(f"smallest plan: {json.dumps(shrink(result.plan, fails))}")
        print(f"seed {result.seed} failed: {headline(result.failure)}")
    return 1


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and do what it asks for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m embedded_broker.simulator", description=__doc__
    )
    parser.add_argument(
        "--seeds", type=int, default=100, help="seeds for each number of brokers and each family"
    )
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument(
        "--brokers", type=int, choices=(3, 5), action="append", help="default: 3; may be repeated"
    )
    parser.add_argument(
        "--family", choices=FAMILIES, action="append", help="default: F2; may be repeated"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--ledger", help="append the campaign's totals to this file")
    parser.add_argument(
        "--mutants", action="store_true", help="plant bugs, one at a time: each must be caught"
    )
    parser.add_argument("--mutant", help="with --replay: plant this bug")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run this seed alone")
    parser.add_argument(
        "--plan", help="with --replay: a JSON file of faults instead of the seed's own"
    )
    parser.add_argument(
        "--trace", action="store_true", help="with --replay: print the trace as it grows"
    )
    parser.add_argument(
        "--lines",
        type=int,
        help=f"with --replay: how many lines are shown, the newest ({TRACE_LINES} of the trace "
        f"before a failure, {KEPT_LINES} of a transcript)",
    )
    parser.add_argument(
        "--transcript",
        action="store_true",
        help="with --replay: print what happened, a line an event, for a person to read",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help='with --transcript: lines of or about this, such as "broker 2"; may be repeated',
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        help="with --transcript: leave out what is about other topics; may be repeated",
    )
    parser.add_argument(
        "--history", help="with --replay: write the clients' history to this file (JSON lines)"
    )
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="with --replay: look for a smaller plan that fails too",
    )
    args = parser.parse_args(argv)
    args.brokers = args.brokers or [3]
    args.family = args.family or ["F2"]
    if args.replay is not None:
        return replay(args)
    if args.mutants:
        return mutants.run_all(args.seeds, args.jobs)
    return campaign(args)


if __name__ == "__main__":
    sys.exit(main())
