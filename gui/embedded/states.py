"""The states of an embedded cluster and of its brokers; imported before the first paint, so apart
from the code that runs them."""

from __future__ import annotations

from enum import StrEnum


class BrokerState(StrEnum):
    UP = "up"
    FROZEN = "frozen"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DIED = "died"
    STARTING = "starting"


class ClusterState(StrEnum):
    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
