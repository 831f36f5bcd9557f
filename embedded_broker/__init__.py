"""A Kafka cluster in Python: ``LocalCluster(ClusterSpec(directory)).start()`` starts broker
processes on this machine.

The names are imported when they are first used, because a broker process imports this package and
needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedded_broker.shell.admin import AdminFailed, TopicSpec
    from embedded_broker.shell.cluster import BrokerStatus, LocalCluster, NotReady, State
    from embedded_broker.shell.layout import (
        BrokerOptions,
        ClusterRefused,
        ClusterSpec,
        PortUnavailable,
        is_in_use,
    )
    from embedded_broker.shell.usage import Usage

_MODULES = {
    "AdminFailed": "admin",
    "TopicSpec": "admin",
    "BrokerStatus": "cluster",
    "LocalCluster": "cluster",
    "NotReady": "cluster",
    "State": "cluster",
    "BrokerOptions": "layout",
    "ClusterRefused": "layout",
    "ClusterSpec": "layout",
    "PortUnavailable": "layout",
    "is_in_use": "layout",
    "Usage": "usage",
}

__all__ = [
    "AdminFailed",
    "BrokerOptions",
    "BrokerStatus",
    "ClusterRefused",
    "ClusterSpec",
    "LocalCluster",
    "NotReady",
    "PortUnavailable",
    "State",
    "TopicSpec",
    "Usage",
    "is_in_use",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"embedded_broker.shell.{_MODULES[name]}"), name)
