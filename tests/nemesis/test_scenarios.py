"""Scenarios R1 and R6 to R13 of docs/reliability.md, each with real processes under load.

After each of them the cluster must be whole, and every record and offset that was acknowledged must
be there (tests/nemesis/history.py); what a test asserts itself comes on top.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.nemesis.load import GROUP, TOPIC
from tests.nemesis.namespaces import why_unavailable
from tests.nemesis.run import Run, loaded_cluster

RESUMED_S = 5.0
"""Sessions end after two seconds, elections take one; the rest is a client finding the leader."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
]


def other_than(run: Run, *brokers: int) -> int:
    """Return a broker that is not one of these."""
    return next(i for i in run.brokers.ids if i not in brokers)


def resumes(run: Run) -> float:
    """Wait until writes are acknowledged again; return the seconds, which have a bound."""
    took = run.writer.wait_for_acknowledgements()
    assert took < RESUMED_S, f"writes resumed after {took:.1f} s"
    return took


def test_r1_that_without_a_fault_there_is_no_error_election_or_rebalance(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        epochs = run.brokers.leader_epochs(TOPIC)
        run.writer.wait_for_acknowledgements()
        assigned = [member.rebalances for member in run.members]
        run.writer.wait_for_acknowledgements(1000)
        assert run.brokers.leader_epochs(TOPIC) == epochs
        assert [member.rebalances for member in run.members] == assigned
        assert not run.history.of("send", "info")


def test_r6_that_a_frozen_leader_is_fenced_and_its_late_answers_do_not_count(
    tmp_path: Path,
) -> None:
    with loaded_cluster(tmp_path) as run:
        leader = run.brokers.leader(TOPIC, 0)
        before = run.brokers.leader_epochs(TOPIC)[0]
        run.fault(f"freeze {leader}")
        run.brokers.freeze(leader)
        resumes(run)
        time.sleep(3)  # longer than its session: it must not lead when it wakes up
        run.fault(f"thaw {leader}")
        run.brokers.thaw(leader)
        run.brokers.wait_until_whole()
        assert run.brokers.leader_epochs(TOPIC)[0] > before
        resumes(run)


def test_r7_that_a_frozen_follower_does_not_stop_writes_for_longer_than_its_session(
    tmp_path: Path,
) -> None:
    with loaded_cluster(tmp_path) as run:
        leader, controller = run.brokers.leader(TOPIC, 0), run.brokers.controller()
        follower = other_than(run, leader, controller)
        run.writer.reset_gap()
        run.fault(f"freeze {follower}")
        run.brokers.freeze(follower)
        run.writer.wait_for_acknowledgements(500)
        run.fault(f"thaw {follower}")
        run.brokers.thaw(follower)
        run.brokers.wait_until_whole()
        assert run.writer.longest_gap_s < RESUMED_S


def test_r8_that_a_leader_cut_off_in_both_directions_steps_down(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        leader = run.brokers.leader(TOPIC, 0)
        run.fault(f"isolate {leader}")
        run.network.isolate(leader)
        resumes(run)
        run.fault("heal")
        run.network.heal()
        run.brokers.wait_until_whole()
        resumes(run)


def test_r9_that_cuts_in_one_direction_cause_no_split_and_no_livelock(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        leader = run.brokers.leader(TOPIC, 0)
        for follower in run.brokers.ids:
            if follower != leader:
                run.fault(f"cut {leader} -> {follower}")
                run.network.cut(leader, follower)
        resumes(run)
        run.fault("heal")
        run.network.heal()
        run.brokers.wait_until_whole()
        controller = run.brokers.controller()
        broker = other_than(run, controller)
        run.fault(f"cut {broker} <-> {controller}")
        run.network.cut(broker, controller)
        run.network.cut(controller, broker)
        resumes(run)
        run.fault("heal")
        run.network.heal()
        run.brokers.wait_until_whole()


def test_r10_that_a_full_disk_takes_no_acknowledged_record_and_no_other_broker(
    tmp_path: Path,
) -> None:
    with loaded_cluster(tmp_path, small_disk=2) as run:
        run.fault("fill the disk of 2")
        run.brokers.fill_disk(2)
        resumes(run)
        run.writer.wait_for_acknowledgements(500)
        assert set(run.brokers.running) >= {1, 3}
        run.fault("free the disk of 2")
        run.brokers.free_disk(2)
        if 2 not in run.brokers.running:
            run.brokers.start(2)
        run.brokers.wait_until_whole(40)


def test_r10_that_failing_writes_of_a_leader_lose_nothing(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        leader = run.brokers.leader(TOPIC, 0)
        run.fault(f"writes of {leader} fail")
        run.brokers.fail_writes(leader)
        run.writer.wait_for_acknowledgements(timeout_s=20)
        run.fault("writes work again")
        if leader in run.brokers.running:
            run.brokers.lift_limits(leader)
            run.brokers.terminate(leader)
        run.brokers.start(leader)
        run.brokers.wait_until_whole(40)


def test_r10_that_a_leader_without_file_descriptors_loses_nothing(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        victim = run.brokers.leader(TOPIC, 0)
        other = other_than(run, victim, run.brokers.controller())
        run.fault(f"no descriptors left at {victim}, kill {other}")
        run.brokers.exhaust_descriptors(victim)
        run.brokers.kill(other)
        run.writer.wait_for_acknowledgements(timeout_s=20)
        run.brokers.start(other)
        if victim in run.brokers.running:
            run.brokers.lift_limits(victim)
        else:
            run.brokers.start(victim)
        run.brokers.wait_until_whole(40)


def test_r11_that_a_damaged_end_of_a_log_is_cut_off_and_fetched_again(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        follower = other_than(run, run.brokers.leader(TOPIC, 0), run.brokers.controller())
        run.fault(f"kill {follower} and damage the ends of its logs")
        run.brokers.kill(follower)
        for log in sorted(run.brokers.data(follower).glob(f"{TOPIC}-*/*.log")):
            damaged = bytearray(log.read_bytes())
            damaged[-40] ^= 0xFF
            log.write_bytes(damaged[:-7])
        resumes(run)
        run.brokers.start(follower)
        run.brokers.wait_until_whole(40)


def test_r12_that_a_rolling_restart_under_load_fails_no_send(tmp_path: Path) -> None:
    with loaded_cluster(tmp_path) as run:
        for broker in run.brokers.ids:
            assigned = [member.rebalances for member in run.members]
            run.fault(f"restart {broker}")
            assert run.brokers.terminate(broker) == 0
            resumes(run)
            run.brokers.start(broker)
            run.brokers.wait_until_whole()
            after = [member.rebalances for member in run.members]
            assert all(b - a <= 1 for a, b in zip(assigned, after, strict=True)), after
        assert not run.history.of("send", "info")


def test_r13_that_a_group_reads_on_after_its_coordinator_was_frozen_without_a_majority(
    tmp_path: Path,
) -> None:
    """One broker is dead, so no other can take the group over while the coordinator is frozen."""
    with loaded_cluster(tmp_path) as run:
        coordinator = run.brokers.coordinator(GROUP)
        dead = other_than(run, coordinator)
        run.fault(f"kill {dead}")
        run.brokers.kill(dead)
        resumes(run)
        run.fault(f"freeze {coordinator}")
        run.brokers.freeze(coordinator)
        time.sleep(20)  # longer than the sessions of the members and of the brokers
        run.fault(f"thaw {coordinator}")
        run.brokers.thaw(coordinator)
        run.brokers.start(dead)
        run.brokers.wait_until_whole(40)
