"""AlterPartition, from a partition's leader to the controller (api key 56): see
``core.controller.alter_partition``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import alter_partition

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    alter_partition.alter_partition(broker.controller, now_ms, event)
