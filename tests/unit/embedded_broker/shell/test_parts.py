"""The shell's small parts: timers, buffers, flusher, the broker's log, the portable poller."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from embedded_broker.core.effects import Level
from embedded_broker.shell import platform
from embedded_broker.shell.broker_log import LINES_PER_SECOND, BrokerLog
from embedded_broker.shell.buffers import BufferPool
from embedded_broker.shell.flusher import Flusher
from embedded_broker.shell.loop import READ, WRITE, Loop, PlainPoller
from embedded_broker.shell.storage.partition_log import DiskPartitionLog
from embedded_broker.shell.timers import Timers
from tests.unit.embedded_broker.shell.storage.batches import batch, parsed


def run_until(loop: Loop, condition: Callable[[], object], timeout_ms: int = 3000) -> None:
    deadline = loop.now_ms() + timeout_ms

    def look() -> bool:
        if condition() or loop.now_ms() > deadline:
            loop.stop()
        return False

    loop.after_tick = look
    loop.call_at(deadline, lambda: None)
    loop.run()
    assert condition()


def test_that_a_timer_set_again_fires_once_with_its_newest_token() -> None:
    loop, fired = Loop(), []
    timers = Timers(loop, lambda key, token: fired.append((key, token)))
    now = loop.now_ms()
    timers.set("a", 1, now + 5)
    timers.set("a", 2, now + 20)
    timers.set("b", 3, now + 10)
    timers.set("c", 4, now - 100)
    run_until(loop, lambda: len(fired) == 3)
    assert fired == [("c", 4), ("b", 3), ("a", 2)]
    loop.close()


def test_that_replaced_timers_do_not_pile_up() -> None:
    loop = Loop()
    timers = Timers(loop, lambda _key, _token: None)
    for token in range(50_000):
        timers.set(f"session-{token % 10}", token, loop.now_ms() + 30_000)
    assert len(timers._heap) < 2_000
    loop.close()


def test_that_calls_from_other_threads_wake_the_loop() -> None:
    loop = Loop()
    seen: list[int] = []

    def post_all() -> None:
        for number in range(1000):
            loop.post(partial(seen.append, number))

    thread = threading.Thread(target=post_all)
    thread.start()
    run_until(loop, lambda: len(seen) == 1000)
    thread.join()
    assert seen == list(range(1000))
    loop.close()


def test_that_brokers_come_first_and_what_was_left_comes_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop()
    pairs = [socket.socketpair() for _ in range(20)]
    numbers = {reader.fileno(): number for number, (reader, _) in enumerate(pairs)}
    clock_ms = loop.now_ms()
    monkeypatch.setattr(loop, "now_ms", lambda: clock_ms)
    turns: list[list[int]] = [[]]

    def handle(fd: int, _events: int) -> None:
        nonlocal clock_ms
        clock_ms += 1
        turns[-1].append(numbers[fd])

    def end_turn() -> bool:
        turns.append([])
        if len(turns) == 4:
            loop.stop()
        return False

    loop.after_tick = end_turn
    for reader, writer in pairs:
        loop.add(reader.fileno(), READ, partial(handle, reader.fileno()))
        writer.send(b"x")  # it stays ready: nobody reads it
    loop.prefer(pairs[19][0].fileno())
    loop.run()
    # 15 milliseconds of work until the clock is looked at; 5 are left.
    first, second, third, _ = turns
    assert first == [19, *range(14)]
    assert second[:6] == [19, 14, 15, 16, 17, 18] and len(second) == 15
    assert third[0] == 19 and set(third[1:6]) == set(range(19)) - set(second)
    for reader, writer in pairs:
        loop.remove(reader.fileno())
        reader.close()
        writer.close()
    loop.close()


def test_that_the_portable_poller_reports_the_same_events() -> None:
    one, other = socket.socketpair()
    poller = PlainPoller()
    poller.register(one.fileno(), READ)
    assert poller.poll(0) == []
    other.send(b"x")
    assert poller.poll(1) == [(one.fileno(), READ)]
    poller.modify(one.fileno(), READ | WRITE)
    assert poller.poll(1) == [(one.fileno(), READ | WRITE)]
    poller.modify(one.fileno(), 0)
    assert poller.poll(0) == []
    poller.modify(one.fileno(), READ)
    assert poller.poll(1) == [(one.fileno(), READ)]
    poller.unregister(one.fileno())
    one.close()
    other.close()


def test_that_buffers_are_reused_unless_a_view_refers_to_them() -> None:
    pool = BufferPool()
    first = pool.take(1_000_000)
    assert len(first) == 131072
    while len(first) < 1_000_000:
        pool.grow(first, 1_000_000)
    assert len(first) == 1 << 20 == pool.in_use
    pool.give(first)
    again = pool.take(900_000)
    assert again is first
    view = memoryview(again)
    pool.give(again)
    assert pool.take(900_000) is not first
    assert view[0] == 0


def test_that_connections_wait_when_too_much_is_being_received() -> None:
    pool, resumed = BufferPool(limit=300_000), []
    one, two = pool.take(1 << 20), pool.take(1 << 20)
    pool.grow(one, 1 << 20)
    assert pool.exhausted
    pool.when_free(lambda: resumed.append(True))
    pool.give(one)
    assert resumed == [True] and not pool.exhausted
    pool.give(two)
    assert pool.in_use == 0


def test_that_flushes_requested_while_one_runs_are_combined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, done, synced = Loop(), [], []
    log = DiskPartitionLog.create(tmp_path / "t-0", "t", UUID(int=1), 0, lambda _paths: None, 0)
    flusher = Flusher(
        loop, lambda flush_id, error: done.append((flush_id, error)), lambda _text: None
    )
    began, gate = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        synced.append(fd)
        began.set()
        gate.wait(5)

    monkeypatch.setattr(platform, "fdatasync", slow)
    flusher.start()
    for i in range(20):
        data = batch(i)
        log.append(data, parsed(data), 0)
        flusher.flush(i, log)
    assert began.wait(5)
    assert log.recovery_point() == 0
    gate.set()
    run_until(loop, lambda: len(done) == 20)
    assert sorted(done) == [(i, "") for i in range(20)]
    assert len(synced) <= 3
    assert log.recovery_point() == 20
    flusher.flush(99, log)
    run_until(loop, lambda: len(done) == 21)
    flusher.stop()
    loop.close()


def test_that_a_failed_flush_reports_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, done = Loop(), []
    log = DiskPartitionLog.create(tmp_path / "t-0", "t", UUID(int=1), 0, lambda _paths: None, 0)
    data = batch(0)
    log.append(data, parsed(data), 0)

    def broken(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(platform, "fdatasync", broken)
    flusher = Flusher(
        loop, lambda flush_id, error: done.append((flush_id, error)), lambda _text: None
    )
    flusher.start()
    flusher.flush(1, log)
    run_until(loop, lambda: done)
    assert "Input/output error" in done[0][1]
    assert log.recovery_point() == 0
    flusher.stop()
    loop.close()


def test_that_the_log_escapes_text_limits_lines_and_echoes_errors(tmp_path: Path) -> None:
    echo, now_s = io.StringIO(), [1_000.0]
    log = BrokerLog(tmp_path / "broker.log", echo=echo, now_s=lambda: now_s[0])
    log.write(Level.INFO, "evil\n\x1b[31m \u202e text")
    log.write(Level.DEBUG, "not wanted")
    log.write(Level.ERROR, "broken")
    for i in range(500):
        log.write(Level.WARNING, f"storm {i}")
    now_s[0] += 1
    log.write(Level.INFO, "after")
    log.close()
    text = (tmp_path / "broker.log").read_text()
    assert "evil\\x0a\\x1b[31m \\u202e text" in text
    assert "not wanted" not in text
    assert text.count("storm") == LINES_PER_SECOND - 2
    assert "left out 452 more lines" in text
    assert text.splitlines()[-1].endswith("INFO    after")
    assert "broken" in echo.getvalue() and "storm" not in echo.getvalue()


def test_that_a_lock_excludes_others_until_it_is_closed(tmp_path: Path) -> None:
    lock = platform.lock_file(tmp_path / ".lock")
    with pytest.raises(platform.InUse):
        platform.lock_file(tmp_path / ".lock")
    os.close(lock)
    os.close(platform.lock_file(tmp_path / ".lock"))
