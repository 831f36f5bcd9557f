"""Sessions of brokers: what a broker may rely on, and when it is fenced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.embedded_broker.wired import Wired


@pytest.mark.parametrize("cut_off", ["controller", "another"])
@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_that_a_broker_that_is_cut_off_relies_on_nothing_before_it_is_fenced(
    cluster: Callable[..., Wired], cut_off: str, fault: str
) -> None:
    c = cluster()
    controller = c.controller()
    assert controller is not None
    node = (
        controller if cut_off == "controller" else next(n for n in c.alive if n is not controller)
    )
    now_ms = node.clock.monotonic_ms
    others = [n for n in c.alive if n is not node]
    assert node.broker.lifecycle.in_touch(now_ms())
    for other in others:
        c.network.cut(node.node_id, other.node_id)
        c.network.cut(other.node_id, node.node_id)
        if fault == "reset":
            for connection in c.network.between(node.node_id, other.node_id):
                connection.hang_up()
                connection.close("connection reset")

    def fenced() -> bool:
        return any(not n.broker.image.alive(node.node_id) for n in others)

    c.until(lambda: not node.broker.lifecycle.in_touch(now_ms()), 2_500)
    assert not fenced()
    c.until(fenced, 6_000)
    assert not node.broker.lifecycle.in_touch(now_ms())
