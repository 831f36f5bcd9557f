"""AlterConfigs (api key 33): all settings of a resource at once; what is not named is taken back.
See ``core.controller.configs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.controller import configs

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    configs.alter_configs(broker.controller, now_ms, event)
