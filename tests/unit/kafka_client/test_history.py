import itertools
import sqlite3
import threading
import time

import pytest

from kafka_client import history as module
from kafka_client.changes import Change, ChangeKind
from kafka_client.history import History, HistoryLimits
from kafka_client.sampling.store import SeriesStore

NOW = 1_700_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def history(tmp_path, clock):
    made = History(tmp_path / "cluster.sqlite", clock, steady=clock)
    yield made
    made.close()


def test_that_samples_come_back_from_the_finest_tier_that_reaches_so_far(history, clock):
    for i in range(120):
        history.sample(("lag", "g", "t", 0), NOW + i, float(i))
    history.flush()
    clock.now = NOW + 120
    times, values = history.window(("lag", "g", "t", 0), NOW, NOW + 200)
    assert len(times) == 120 and values.tolist() == [float(i) for i in range(120)]
    clock.now = NOW + 7200
    times, values = history.window(("lag", "g", "t", 0), NOW, NOW + 200)
    assert times.tolist() == [NOW + 10 * i for i in range(12)]
    assert values[0] == pytest.approx(4.5)
    clock.now = NOW + 5 * 86_400
    times, values = history.window(("lag", "g", "t", 0), NOW - 60, NOW + 200)
    assert len(times) == 3 and values[-1] > values[0]


async def test_that_several_series_are_read_without_blocking_the_loop(history, clock):
    for i in range(30):
        history.sample(("lag", "a"), NOW + i, float(i))
        history.sample(("lag", "b"), NOW + 100 + i, 7.0)
    history.flush()
    clock.now = NOW + 200
    read = await history.windows([("lag", "a"), ("lag", "b"), ("lag", "c")], NOW, NOW + 200)
    assert read["lag", "a"][1].tolist() == [float(i) for i in range(30)]
    assert read["lag", "b"][0][0] == NOW + 100 and not len(read["lag", "c"][0])
    assert await history.beginning([("lag", "b"), ("lag", "c")]) == (NOW + 100) // 60 * 60
    assert await history.beginning([("lag", "c")]) is None


def test_that_each_tier_forgets_what_it_no_longer_keeps(history, clock):
    history.sample(("rate",), NOW, 1.0)
    history.flush()
    clock.now = NOW + 2 * 3600
    history._tidy()
    counts = [history._rows(f"SELECT count(*) FROM tier_{step}")[0][0] for step, _ in module.TIERS]
    assert counts == [0, 1, 1]


def test_that_a_limit_of_days_shortens_every_tier(history, clock):
    history.sample(("rate",), NOW, 1.0)
    history.event(Change(NOW, ChangeKind.BROKER_DOWN, "Broker 1 is down"))
    history.flush()
    clock.now = NOW + 3 * 86_400
    history._tidy()
    assert len(history.window(("rate",), NOW - 60, NOW)[0]) == 1
    assert len(history.events(NOW, NOW)) == 1
    history.limits = HistoryLimits(days=2)
    history._tidy()
    assert len(history.window(("rate",), NOW - 60, NOW)[0]) == 0
    assert not history.events(NOW, NOW)


def test_that_a_file_that_is_too_large_loses_its_oldest_samples(history, clock):
    for minute in range(200):
        for number in range(100):
            history.sample(("rate", number), NOW + 60 * minute, 1.0)
        history.flush()
    clock.now = NOW + 60 * 200
    history._tidy()
    assert history._used_bytes() > 600_000
    history.limits = HistoryLimits(size_bytes=400_000)
    history._tidy()
    assert history._used_bytes() <= 400_000
    times, _ = history.window(("rate", 5), NOW - 30 * 86_400, clock.now)
    assert 0 < len(times) < 200
    assert times[-1] == NOW // 60 * 60 + 60 * 199, "the newest sample stays"
    size = history._rows("PRAGMA page_count")[0][0] * history._rows("PRAGMA page_size")[0][0]
    assert size < 800_000, "the disk gets back what was deleted"


def test_that_everything_is_there_after_a_restart(tmp_path, clock):
    first = History(tmp_path / "h.sqlite", clock)
    first.sample(("rate", "émail"), NOW, 3.0)
    first.event(Change(NOW, ChangeKind.LEADER_MOVED, "moved", "t", 1, 2, partitions=(("t", 1),)))
    first.close()
    second = History(tmp_path / "h.sqlite", clock)
    assert second.keys() == [("rate", "émail")]
    assert second.window(("rate", "émail"), NOW - 1, NOW + 1)[1].tolist() == [3.0]
    (event,) = second.events(NOW - 1, NOW + 1)
    assert (event.kind, event.topic, event.partitions) == (
        ChangeKind.LEADER_MOVED,
        "t",
        (("t", 1),),
    )
    second.close()


def test_that_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path, clock):
    path = tmp_path / "h.sqlite"
    path.write_bytes(b"this is no database at all, really" * 100)
    history = History(path, clock)
    history.sample(("rate",), NOW, 1.0)
    history.flush()
    assert not history.error and history.keys() == [("rate",)]
    history.close()
    assert len(list(tmp_path.glob("h.damaged-*"))) == 1


def test_that_a_folder_that_cannot_be_made_stops_the_history_and_nothing_else(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    history = History(tmp_path / "file" / "h.sqlite")
    assert history.error.startswith("History is no longer kept: ")
    assert "no longer kept" in caplog.text
    history.sample(("rate",), NOW, 1.0)
    assert history.keys() == []
    history.close()


def test_that_a_failing_disk_stops_the_history_and_nothing_else(history, monkeypatch):
    def fail(waiting):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(history, "_write", fail)
    history.sample(("rate",), NOW, 1.0)
    history.flush()
    assert history.error == "History is no longer kept: database or disk is full."
    history.sample(("rate",), NOW, 1.0)


def test_that_a_full_queue_drops_and_never_waits(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_MOST", 10)
    history = History(tmp_path / "h.sqlite", clock)
    began = time.monotonic()
    for _ in range(100):
        history.sample(("rate",), NOW, 1.0)
    assert time.monotonic() - began < 0.5 and history.dropped >= 80
    history.close()


def test_that_flush_waits_for_a_write_under_way(history, monkeypatch):
    started, go, write = threading.Event(), threading.Event(), history._write

    def slow(waiting):
        started.set()
        assert go.wait(5)
        write(waiting)

    monkeypatch.setattr(history, "_write", slow)
    history.sample(("rate",), NOW, 1.0)
    flushes = [threading.Thread(target=history.flush) for _ in range(2)]
    flushes[0].start()
    assert started.wait(5)
    flushes[1].start()
    flushes[1].join(0.05)
    assert flushes[1].is_alive()
    go.set()
    for flush in flushes:
        flush.join(5)
    assert history.keys() == [("rate",)]


def test_that_a_gap_is_not_a_sample(history):
    history.sample(("rate",), NOW, float("nan"))
    history.flush()
    assert history.keys() == []


def test_that_a_new_run_begins_with_the_last_hour_and_a_gap(history, clock):
    for i in range(5):
        history.sample(("rate",), NOW - 100 + i, float(i))
    history.flush()
    store = SeriesStore()
    history.fill(store)
    times, values = store.window(("rate",), 0, 1e12)
    assert values[:5].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0] and values[5] != values[5]
    assert times[-1] < NOW


def test_that_the_last_hour_comes_from_the_finest_tier_though_the_clock_moves_on(tmp_path):
    ticking = itertools.count(NOW, 0.001)
    history = History(tmp_path / "h.sqlite", lambda: next(ticking))
    for i in range(30):
        history.sample(("rate",), NOW - 60 + i, float(i))
    history.flush()
    store = SeriesStore()
    history.fill(store)
    times, values = store.window(("rate",), 0, 1e12)
    assert len(times) == 31 and values[:30].tolist() == [float(i) for i in range(30)]
    history.close()


def test_that_closing_waits_for_a_reading_thread_and_later_reads_are_refused(tmp_path, clock):
    history = History(tmp_path / "h.sqlite", clock)
    for i in range(500):
        history.sample(("rate", str(i)), NOW - 10, 1.0)
    history.flush()
    reading = threading.Event()
    refused: list[Exception] = []

    def read_on() -> None:
        try:
            while True:
                assert len(history.keys()) == 500
                reading.set()
        except sqlite3.ProgrammingError as error:
            refused.append(error)

    threads = [threading.Thread(target=read_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert reading.wait(5)
    history.close()
    for thread in threads:
        thread.join(5)
    assert len(refused) == 4


# ---- a clock that leaps

TEN_YEARS_S = 3652 * 86_400.0


@pytest.mark.parametrize("leap_s", [TEN_YEARS_S, -TEN_YEARS_S])
def test_that_a_leap_of_the_clock_deletes_nothing(tmp_path, clock, leap_s):
    steady = Clock()
    history = History(tmp_path / "h.sqlite", clock, steady=steady)
    history.sample(("rate",), NOW, 1.0)
    history.event(Change(NOW, ChangeKind.BROKER_DOWN, "Broker 1 is down"))
    history.flush()
    clock.now, steady.now = NOW + leap_s, NOW + 600
    history.sample(("rate",), clock.now, 2.0)
    history.flush()
    history._tidy()
    assert history.window(("rate",), clock.now - 60, clock.now)[1].tolist() == [2.0]
    clock.now = steady.now = NOW + 1200
    history._tidy()
    assert history.window(("rate",), NOW - 60, NOW)[1].tolist() == [1.0]
    assert len(history.events(NOW, NOW)) == 1
    assert not len(history.window(("rate",), NOW + leap_s - 60, NOW + leap_s)[0])
    history.close()


@pytest.mark.parametrize("leap_s", [TEN_YEARS_S, -TEN_YEARS_S])
def test_that_a_leap_between_two_runs_deletes_nothing(tmp_path, clock, leap_s):
    path = tmp_path / "h.sqlite"
    history = History(path, clock)
    history.sample(("rate",), NOW, 1.0)
    history.close()
    clock.now = NOW + leap_s
    for _ in range(2):  # the second run knows only what the first has stored
        history = History(path, clock)
        history.sample(("rate",), clock.now, 2.0)
        history.flush()
        history._tidy()
        history.close()
    clock.now = NOW + 1200
    history = History(path, clock)
    history._tidy()
    assert history.window(("rate",), NOW - 60, NOW)[1].tolist() == [1.0]
    store = SeriesStore()
    history.fill(store)
    assert store.last(("rate",)) == (NOW, 1.0)
    history.close()


def test_that_what_is_too_old_after_a_long_absence_goes_within_hours(tmp_path, clock):
    path, steady = tmp_path / "h.sqlite", Clock()
    history = History(path, clock, steady=steady)
    history.sample(("rate",), NOW, 1.0)
    history.close()
    clock.now = NOW + 40 * 86_400
    history = History(path, clock, steady=steady)
    history._tidy()
    assert len(history.window(("rate",), NOW - 60, NOW)[0]) == 1
    clock.now, steady.now = clock.now + 36 * 3600, NOW + 36 * 3600
    history._tidy()
    assert not len(history.window(("rate",), NOW - 60, NOW)[0])
    history.close()


@pytest.mark.parametrize("leap_s", [TEN_YEARS_S, -TEN_YEARS_S])
def test_that_a_file_that_is_too_large_loses_a_share_of_its_rows_after_a_leap(
    tmp_path, clock, leap_s
):
    history = History(tmp_path / "h.sqlite", clock, steady=Clock())
    for minute in range(2000):
        clock.now = NOW + 60 * minute + (leap_s if minute >= 1000 else 0)
        for number in range(5):
            history.sample(("rate", number), clock.now, 1.0)
    history.flush()
    history.limits = HistoryLimits(size_bytes=int(0.9 * history._used_bytes()))
    history._tidy()
    assert history._used_bytes() <= history.limits.size_bytes
    ((oldest, newest),) = history._rows("SELECT min(at), max(at) FROM tier_60")
    assert newest - oldest > TEN_YEARS_S - 86_400, "one cut over ten empty years took a half"
    history.close()


def test_that_a_clock_that_was_set_back_does_not_stop_the_tidying(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(module, "WRITE_EVERY_S", 0.001)
    monkeypatch.setattr(module, "TIDY_EVERY_S", 0.01)
    tidied = threading.Semaphore(0)
    monkeypatch.setattr(History, "_tidy", lambda _: tidied.release())
    history = History(tmp_path / "h.sqlite", clock)
    assert tidied.acquire(timeout=10)
    clock.now = NOW - TEN_YEARS_S
    assert tidied.acquire(timeout=10) and tidied.acquire(timeout=10)
    history.close()
