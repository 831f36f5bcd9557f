"""A Kafka cluster in Python: ``LocalCluster(ClusterSpec(directory)).start()`` runs one of broker
processes.

A broker's own process imports none of what is named here: the names are looked up when they are
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedded_broker.shell.admin import AdminFailed, TopicSpec
    from embedded_broker.shell.cluster import BrokerStatus, LocalCluster, NotReady, State
    from embedded_broker.shell.layout import BrokerOptions, ClusterRefused, ClusterSpec
    from embedded_broker.shell.usage import Usage

_HOMES = {
    "AdminFailed": "admin",
    "TopicSpec": "admin",
    "BrokerStatus": "cluster",
    "LocalCluster": "cluster",
    "NotReady": "cluster",
    "State": "cluster",
    "BrokerOptions": "layout",
    "ClusterRefused": "layout",
    "ClusterSpec": "layout",
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
    "State",
    "TopicSpec",
    "Usage",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"embedded_broker.shell.{_HOMES[name]}"), name)
