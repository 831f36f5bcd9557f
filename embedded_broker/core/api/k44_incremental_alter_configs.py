"""IncrementalAlterConfigs (api key 44): set, take back, append to and subtract from single
settings (KIP-339). See ``core.controller.configs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import configs

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    configs.alter_configs(broker.controller, now_ms, event)
