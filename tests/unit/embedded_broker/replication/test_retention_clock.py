from __future__ import annotations

from embedded_broker.core.effects import Note
from embedded_broker.core.retention_clock import CATCH_UP, RetentionClock
from tests.unit.embedded_broker.fakes import WALL_MS, environment
from tests.unit.embedded_broker.replication.bench import Bench, batch

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS


class Wall:
    def __init__(self) -> None:
        self.ms = WALL_MS
        self.env = environment(wall_ms=lambda: self.ms)
        self.clock = RetentionClock(self.env)

    def after(self, elapsed_ms: int, leap_ms: int = 0) -> None:
        self.ms += elapsed_ms + leap_ms

    def notes(self) -> list[str]:
        return [e.text for e in self.env.outbox.take() if isinstance(e, Note)]


def test_that_a_steady_clock_is_believed() -> None:
    wall = Wall()
    for now_ms in range(0, DAY_MS, 300_000):
        wall.ms = WALL_MS + now_ms
        assert wall.clock.wall_ms(now_ms) == wall.ms
    assert not wall.notes()


def test_that_a_leap_is_caught_up_slowly_and_noted_once() -> None:
    wall = Wall()
    start_ms = wall.clock.wall_ms(0)
    wall.after(1_000, leap_ms=10 * YEAR_MS)
    assert wall.clock.wall_ms(1_000) == start_ms + CATCH_UP * 1_000
    wall.after(1_000)
    assert wall.clock.wall_ms(2_000) == start_ms + CATCH_UP * 2_000
    (note,) = wall.notes()
    assert "87599 hours ahead" in note
    wall.after(1_000, leap_ms=-10 * YEAR_MS)
    assert wall.clock.wall_ms(3_000) == wall.ms, "a clock that is put right is believed at once"


def test_that_a_restart_under_a_wrong_clock_deletes_nothing() -> None:
    wall = Wall()
    start_ms = wall.clock.wall_ms(0)
    wall.after(300_000, leap_ms=10 * YEAR_MS)
    again = RetentionClock(wall.env)  # on the same disk
    assert again.wall_ms(50_000) == start_ms
    assert again.wall_ms(51_000) == start_ms + CATCH_UP * 1_000
    wall.after(0, leap_ms=-10 * YEAR_MS)
    assert again.wall_ms(65_000) == wall.ms


def test_that_a_clock_of_1970_neither_counts_nor_is_kept() -> None:
    wall = Wall()
    right_ms, wall.ms = wall.ms, 5_000
    assert wall.clock.wall_ms(0) == 5_000, "nothing is as old as that: it deletes nothing"
    wall.ms = right_ms
    assert wall.clock.wall_ms(1_000) == right_ms, "the first time that can be believed"
    assert not wall.notes()


def test_that_records_outlive_a_leader_whose_clock_leaps_ten_years() -> None:
    bench = Bench(1)
    bench.create((1,), retention_ms=str(7 * DAY_MS))
    node = bench.nodes[1]
    node.produce(batch("a"))
    bench.run(600_000)
    bench.leap_ms = 10 * YEAR_MS
    bench.run(3_600_000)
    assert (node.partition().start_offset, node.partition().end_offset) == (0, 1)
    bench.leap_ms = 0
    bench.run(600_000)
    assert (node.partition().start_offset, node.partition().end_offset) == (0, 1)
