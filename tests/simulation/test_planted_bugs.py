"""Some planted bugs, each caught within a few seeds; ``--mutants`` hunts all of them."""

from __future__ import annotations

import pytest

from embedded_broker.core.coordinator.membership import Membership
from embedded_broker.core.replication.partition import Partition
from embedded_broker.simulator.mutants import hunt, planted
from embedded_broker.simulator.planting import MUTANTS
from embedded_broker.simulator.scenario import run_seed

QUICK = [
    "follower_truncates_to_high_watermark",
    "acknowledged_on_append",
    "votes_for_short_logs",
    "divergence_not_seen",
    "uncommitted_shown",
    "duplicates_not_seen",
    "everyone_eligible",
    "quorum_state_not_persisted",
    "small_majorities",
    "commit_acknowledged_on_append",
    "loaded_to_the_high_watermark",
    "committed_below_min_in_sync",
    "commit_while_completing",
    "generation_not_checked",
    "no_member_sessions",
    "dedupe_window_one",
    "vote_twice",
    "vote_lost_on_power",
    "no_check_quorum",
    "stale_fetch_session",
    "stale_alter_partition",
    "durable_unflushed_counts",
    "log_start_not_propagated",
    "clock_believed_at_start",
    "time_lookup_returns_the_last",
    "callbacks_kept",
]


@pytest.mark.parametrize("name", QUICK)
def test_that_a_planted_bug_is_caught(name: str) -> None:
    _, seeds, how, _ = hunt((name, 30))
    assert seeds > 0, MUTANTS[name].text
    # A bug that no longer fits the code that it replaces would be noticed as any crash is.
    assert "TypeError" not in how and "AttributeError" not in how


def test_that_a_request_that_meets_a_bug_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The router answers it and goes on, for a client's sake; a simulated broker must not."""

    def heartbeat(*_: object) -> int:
        raise KeyError("planted")

    monkeypatch.setattr(Membership, "heartbeat", heartbeat)
    result = run_seed(1, 3, "F0")
    assert result.check == "crash"
    assert "Internal error while handling HEARTBEAT" in result.failure


def test_that_a_planted_bug_is_gone_afterwards() -> None:
    before = Partition.when_committed
    with planted("acknowledged_on_append"):
        assert Partition.when_committed is not before
    assert Partition.when_committed is before
