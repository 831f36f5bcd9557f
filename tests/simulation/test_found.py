"""Seeds that once found a bug in the core, by what they found. (What a seed does changes with the
simulator; the plans that matter are kept in their stored form.)"""

from __future__ import annotations

import pytest

from embedded_broker.simulator.__main__ import command
from embedded_broker.simulator.scenario import run_seed


def passes(seed: int, brokers: int, family: str) -> None:
    result = run_seed(seed, brokers, family)
    assert not result.failure, f"{result.failure}\nreplay: {command(result)}"


@pytest.mark.parametrize("seed", [5000, 5011])
def test_that_a_new_leader_of_a_durable_log_flushes_what_it_found(seed: int) -> None:
    """Nothing was flushed until something was appended, so the high watermark, and the
    coordinator that waits for it before anything is appended, stood still."""
    passes(seed, 3, "F2")


def test_that_a_coordinator_that_was_frozen_shows_no_offsets_of_the_past() -> None:
    """A thawed broker answered OffsetFetch before it learned that another had long been elected."""
    passes(1261, 3, "F1")
