"""Sampling of a cluster: when each kind of datum is read, and what is computed from it.

Names are imported when they are first used: ``state`` needs no numpy, so the window can appear
before numpy is loaded.
"""

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
