"""Whole clusters under seeded faults: fixed seeds, a few fresh ones, and that runs repeat exactly.

SIMULATION_SEEDS=n in the environment runs n fresh seeds, drawn from the clock; a failure prints the
command that replays it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedded_broker.simulator import history
from embedded_broker.simulator.__main__ import command
from embedded_broker.simulator.directed import PLANS
from embedded_broker.simulator.scenario import Result, run_seed
from embedded_broker.simulator.shrink import shrink

FRESH = int(os.environ.get("SIMULATION_SEEDS", "4"))
FRESH_FROM = int(time.time()) % 1_000_000_000


def passed(result: Result) -> None:
    assert not result.failure, f"{result.failure}\nreplay: {command(result)}"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("brokers", [3, 5])
def test_that_an_undisturbed_cluster_elects_and_rebalances_once(brokers: int, seed: int) -> None:
    result = run_seed(seed, brokers, "F0")
    passed(result)
    assert result.acks > 50


@pytest.mark.parametrize("seed", range(1, 5))
def test_that_three_brokers_survive_single_faults(seed: int) -> None:
    passed(run_seed(seed, 3, "F1"))


@pytest.mark.parametrize("seed", range(1, 9))
def test_that_three_brokers_survive_overlapping_faults(seed: int) -> None:
    passed(run_seed(seed, 3, "F2"))


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("family", ["F1", "F2"])
def test_that_five_brokers_survive(family: str, seed: int) -> None:
    passed(run_seed(seed, 5, family))


@pytest.mark.parametrize("seed", range(len(PLANS)))
def test_that_three_brokers_survive_each_directed_plan(seed: int) -> None:
    passed(run_seed(seed, 3, "F4"))


@pytest.mark.parametrize("number", range(FRESH))
def test_that_fresh_seeds_pass(number: int) -> None:
    seed = FRESH_FROM + number
    passed(run_seed(seed, 3 if seed % 2 else 5, "F2"))


def test_that_a_seed_runs_the_same_in_processes_with_other_hash_seeds() -> None:
    hashes = set()
    code = (
        "from embedded_broker.simulator.scenario import run_seed\n"
        "print(run_seed(11, 3, 'F2').trace_hash)"
    )
    for hash_seed in ("1", "271828"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1, hashes


def test_that_a_plan_is_data_and_runs_from_its_stored_form() -> None:
    result = run_seed(3, 3, "F2")
    stored = json.loads(json.dumps(result.plan))
    assert stored and run_seed(3, 3, "F2", stored).trace_hash == result.trace_hash


def test_that_a_history_reads_back_as_it_was_written(tmp_path: Path) -> None:
    result = run_seed(2, 3, "F0", keep_history=True)
    path = tmp_path / "history.jsonl"
    history.write(path, result.operations)
    again = history.read(path)
    assert [o.line() for o in again] == [o.line() for o in result.operations]
    assert {"invoke", "ok"} <= {o.type for o in again}


def test_that_a_plan_shrinks_to_the_faults_that_matter() -> None:
    faults = [{"at_ms": i, "do": "kill", "for_ms": 1_000} for i in range(20)]

    def fails(plan: list[dict[str, object]]) -> bool:
        return {3, 11} <= {fault["at_ms"] for fault in plan}

    smallest = shrink(faults, fails)
    assert [f["at_ms"] for f in smallest] == [3, 11]
    assert all(f["for_ms"] < 200 for f in smallest)
