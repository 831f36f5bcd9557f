"""Whole clusters on the real storage code, on disks that fill up, rot and lose power.

STORED_SEEDS=n in the environment runs n fresh seeds of each family, drawn from the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.slices import LogFile
from embedded_broker.simulator.directed import PLANS
from embedded_broker.simulator.scenario import Result, run_seed
from tests.simulation.stored import StoredWorld

FRESH = int(os.environ.get("STORED_SEEDS", "1"))
FRESH_FROM = int(time.time()) % 1_000_000_000
FAMILIES = ("F1", "F2", "F3")


def run(folder: Path, family: str, seed: int) -> Result:
    with StoredWorld(folder, seed) as world:
        result = run_seed(seed, 3, family, make_platter=world.platter)
    assert not result.failure, f"seed {seed} of {family} on real storage: {result.failure}"
    return result


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("family", FAMILIES)
def test_that_a_cluster_on_real_storage_survives(tmp_path: Path, family: str, seed: int) -> None:
    run(tmp_path, family, seed)


@pytest.mark.parametrize("seed", range(len(PLANS)))
def test_that_a_cluster_on_real_storage_survives_each_directed_plan(
    tmp_path: Path, seed: int
) -> None:
    run(tmp_path, "F4", seed)


@pytest.mark.parametrize("number", range(FRESH))
@pytest.mark.parametrize("family", FAMILIES)
def test_that_fresh_seeds_pass_on_real_storage(tmp_path: Path, family: str, number: int) -> None:
    run(tmp_path, family, FRESH_FROM + number)


def always_clean(patch: pytest.MonkeyPatch) -> None:
    """A power cut is taken for a kill."""
    patch.setattr(LogDirectory, "_nothing_lost", lambda self: True)


def no_sync(patch: pytest.MonkeyPatch) -> None:
    """What is flushed is not on the disk."""
    patch.setattr(LogFile, "sync", lambda self: None)


@pytest.mark.parametrize("plant", [always_clean, no_sync])
def test_that_a_planted_bug_of_the_storage_is_found(
    tmp_path: Path, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    failures = []
    for seed in range(1, 21):
        with (
            pytest.MonkeyPatch.context() as patch,
            StoredWorld(tmp_path / str(seed), seed) as world,
        ):
            plant(patch)
            failures.append(run_seed(seed, 3, "F2", make_platter=world.platter).check)
        if failures[-1]:
            break
    assert failures[-1] in {"C1", "C2", "C7", "C10"}, failures


def test_that_a_seed_on_real_storage_repeats(tmp_path: Path) -> None:
    assert run(tmp_path / "a", "F2", 5).trace_hash == run(tmp_path / "b", "F2", 5).trace_hash
