"""A disk that refuses a write changes nothing halfway, and the rest of the node goes on."""

from __future__ import annotations

import pytest

from embedded_broker.core.disk_health import PROBE_MS, State
from embedded_broker.core.metadata.image import MetadataDelta
from embedded_broker.core.ports import StorageFailed
from embedded_broker.simulator.log import SimLog
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k35_describe_log_dirs import DescribeLogDirsRequest
from tests.unit.embedded_broker.replication.bench import Bench, T, batch


def test_that_a_leader_that_cannot_write_its_epoch_acknowledges_nothing() -> None:
    bench = Bench()
    bench.create(min_insync_replicas="2")
    second = bench.nodes[2]
    second.platter.full = True
    bench.kill(1)
    bench.change(leader=2, isr=(2, 3))
    second.platter.full = False  # the disk has room again before anything is produced
    request = second.produce(batch("alone"))
    bench.settle()
    assert second.produced(request).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert second.partition().end_offset == second.partition().high_watermark == 0
    assert second.disk.failures == 1


def test_that_an_epoch_that_was_not_saved_is_not_in_the_cache() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    before = bench.nodes[2].partition().epochs.entries
    bench.nodes[2].platter.full = True
    bench.kill(1)
    bench.change(leader=2, isr=(2, 3))
    assert bench.nodes[2].partition().epochs.entries == before


def test_that_one_partition_without_a_log_does_not_keep_the_others_from_their_roles() -> None:
    bench = Bench()
    first = bench.nodes[1]
    first.platter.full = True
    bench.create(partitions=2)
    assert not first.replicas.partitions
    assert bench.nodes[2].partition(1).leader_id == 1
    first.platter.full = False
    first.replicas.disk_health.fenced(bench.now_ms)
    first.perform()
    bench.run(2 * PROBE_MS)
    assert sorted(first.replicas.partitions) == [(T, 0), (T, 1)]
    assert first.replicas.disk_health.state is State.WORKING


def test_that_a_log_that_could_not_be_opened_is_opened_by_later_metadata() -> None:
    bench = Bench()
    first = bench.nodes[1]
    first.platter.full = True
    bench.create()
    first.platter.full = False
    bench.change(isr=(1, 2))
    assert first.partition().leader_id == 1


def test_that_a_log_that_cannot_be_deleted_is_deleted_when_the_disk_works_again() -> None:
    bench = Bench()
    bench.create(partitions=2)
    second = bench.nodes[2]
    second.platter.failing = True
    topic = bench.image.topics.pop(T)
    bench.publish(MetadataDelta(deleted_topics=[topic]))
    assert not second.replicas.partitions
    assert len(second.platter.logs) == 2
    second.platter.failing = False
    second.replicas.disk_health.fenced(bench.now_ms)
    second.perform()
    bench.run(2 * PROBE_MS)
    assert not second.platter.logs


def test_that_a_fenced_broker_with_a_failed_disk_leads_nothing_until_metadata_says_so() -> None:
    bench = Bench()
    bench.create(min_insync_replicas="1")
    first = bench.nodes[1]
    bench.cut = {(2, 1), (3, 1)}
    waiting = first.produce(batch("before"))
    first.platter.full = True
    refused = first.produce(batch("a"))
    assert first.produced(refused).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert first.replicas.disk_health.state is State.FAILED
    first.replicas.disk_health.fenced(bench.now_ms)
    first.perform()
    assert first.produced(waiting).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    fetch = first.fetch(0, max_wait_ms=0)
    bench.settle()
    assert first.fetched(fetch).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    first.platter.full = False
    bench.run(2 * PROBE_MS)
    assert not first.partition().is_leader
    bench.change(leader=1)
    assert first.partition().is_leader


def test_that_epochs_that_a_truncation_could_not_save_are_saved_before_the_next_append() -> None:
    bench = Bench()
    bench.create(min_insync_replicas="1")
    bench.cut = {(2, 1), (3, 1)}
    first = bench.nodes[1]
    bench.change(leader=1)  # the leader's own epoch, which the others do not have
    first.produce(batch("lost"), acks=1)
    epochs = first.partition().epochs
    log = first.partition().log
    first.platter.full = True
    bench.change(leader=2, isr=(2, 3))
    bench.cut = set()
    bench.run(500)
    assert epochs.unsaved
    assert isinstance(log, SimLog)
    assert log._epochs != epochs.entries, "what a file would say, if the log had a batch"
    first.platter.full = False
    bench.nodes[2].produce(batch("kept"), acks=1)
    bench.run(2_000)
    assert first.partition().end_offset == 1
    assert not epochs.unsaved
    assert log.load_epochs() == epochs.entries


def test_that_the_log_directory_is_described_as_failed() -> None:
    bench = Bench()
    bench.create()
    first = bench.nodes[1]
    first.platter.full = True
    first.produce(batch("a"))
    request = first.ask(DescribeLogDirsRequest(None), 1)
    assert first.answers[request].results[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR


def test_that_a_log_that_the_metadata_does_not_assign_is_set_aside_and_not_deleted() -> None:
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.nodes[1].running = False
    bench.image.topics.clear()
    again = bench.boot(1)
    assert any(f"Setting aside {T}-0" in note for note in again.notes), again.notes
    assert not again.replicas.partitions


def test_that_one_log_that_cannot_be_opened_does_not_keep_its_broker_fenced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    first = bench.nodes[1]

    def refuse(*_arguments: object) -> None:
        raise StorageFailed("permission denied")

    monkeypatch.setattr(first.env.disk, "create_log", refuse)
    bench.create()
    assert first.replicas.disk_health.failed
    first.replicas.disk_health.fenced(bench.now_ms)
    first.perform()
    bench.run(5 * PROBE_MS)
    assert first.replicas.disk_health.state is State.WORKING
    assert first.disk.failures == 1
    assert any("offline" in note for note in first.notes)
    assert (T, 0) not in first.replicas.partitions


def test_that_a_log_that_a_full_disk_kept_from_being_opened_is_not_set_aside() -> None:
    """It is assigned, and may be the only copy."""
    bench = Bench()
    bench.create()
    bench.nodes[1].produce(batch("a"))
    bench.settle()
    bench.nodes[1].running = False
    bench.change(leader=2, isr=(2, 3))
    (log,) = (log for key, log in bench.nodes[1].platter.logs.items() if key[0] == T)
    # An epoch whose records a power cut took: the file is written again when the log is opened.
    log._epochs.append((1, log.log_end_offset))
    bench.nodes[1].platter.full = True
    again = bench.boot(1)
    assert (T, 0) not in again.replicas.partitions and again.replicas.disk_health.failed
    assert not any("Setting aside" in note for note in again.notes), again.notes
    again.platter.full = False
    again.replicas.disk_health.fenced(bench.now_ms)
    again.perform()
    bench.run(2 * PROBE_MS)
    assert again.partition().end_offset == 1
