"""Watching a cluster: what is read when, and what is computed from it. The names are looked up
when they are used: the states alone need no numpy, and a window can be seen before it is
loaded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kafka_client.sampling.sampler import Sampler
    from kafka_client.sampling.state import ConnectionKind, ConnectionState, Round, Schedule
    from kafka_client.sampling.store import SeriesStore

_HOMES = {
    "ConnectionKind": "state",
    "ConnectionState": "state",
    "Round": "state",
    "Sampler": "sampler",
    "Schedule": "state",
    "SeriesStore": "store",
}

__all__ = ["ConnectionKind", "ConnectionState", "Round", "Sampler", "Schedule", "SeriesStore"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"kafka_client.sampling.{_HOMES[name]}"), name)
