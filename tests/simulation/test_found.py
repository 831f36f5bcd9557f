"""Seeds that once found a bug in the core, named by the bug. What a seed does changes with the
simulator; the planted bugs repeat what was found."""

from __future__ import annotations

import pytest

from embedded_broker.simulator.__main__ import command
from embedded_broker.simulator.scenario import run_seed


def passes(seed: int, brokers: int, family: str) -> None:
    result = run_seed(seed, brokers, family)
    assert not result.failure, f"{result.failure}\nreplay: {command(result)}"


@pytest.mark.parametrize("seed", [5000, 5011])
def test_that_a_new_leader_of_a_durable_log_flushes_its_log(seed: int) -> None:
    """A new leader flushed nothing until an append, so its high watermark did not move; and the
    coordinator waited for it before its first append."""
    passes(seed, 3, "F2")


def test_that_a_thawed_coordinator_returns_no_old_offsets() -> None:
    """A thawed broker answered OffsetFetch before it learned that another was the coordinator."""
    passes(1261, 3, "F1")
