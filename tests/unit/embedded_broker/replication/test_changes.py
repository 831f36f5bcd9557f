"""Many changes are acted on a few at a time."""

from embedded_broker.core.effects import SetTimer
from embedded_broker.core.events import TimerFired
from embedded_broker.core.outbox import Outbox
from embedded_broker.core.replication.changes import PendingChanges


class Line:
    def __init__(self, at_once: int) -> None:
        self.outbox = Outbox()
        self.done: list[int] = []
        self.pending: PendingChanges[int] = PendingChanges(
            self.outbox, "some", lambda: at_once, lambda now_ms, change: self.done.append(change)
        )

    def fire(self, now_ms: int) -> bool:
        """Fire the timer that is set; return whether there was one."""
        timers = [e for e in self.outbox.take() if isinstance(e, SetTimer)]
        for timer in timers:
            assert timer.at_ms == now_ms, "not at once: sockets come first"
            self.outbox.complete(now_ms, TimerFired(timer.key, timer.token))
        return bool(timers)


def test_that_changes_are_acted_on_in_order_and_a_few_at_a_time() -> None:
    line = Line(3)
    line.pending.add(10, range(8))
    assert line.done == [0, 1, 2]
    line.pending.add(10, [8, 5])
    assert line.done == [0, 1, 2]
    assert line.fire(11) and line.done == [0, 1, 2, 3, 4, 5]
    assert line.fire(12) and line.done == list(range(9))
    assert not line.fire(13)


def test_that_a_change_that_somebody_waits_for_comes_first_and_once() -> None:
    line = Line(1)
    line.pending.add(10, [1, 2, 3])
    line.pending.hurry(10, 3)
    line.pending.hurry(10, 7)  # nothing to do
    while line.fire(11 + len(line.done) - 2):
        pass
    assert line.done == [1, 3, 2]
