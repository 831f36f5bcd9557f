"""Hold what the sampler reports about itself, and how often it samples. No numpy here, so that
the window can show a connection before numpy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kafka_client.model import Datum


class ConnectionKind(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    """The cluster answers; a broker or a kind of datum does not."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """``sentence`` is plain text for people. ``since_s`` (of this ``kind``) is in seconds since the
    epoch, ``retry_at_s`` by ``steady.steady_s``."""

    kind: ConnectionKind
    sentence: str
    next_step: str = ""
    since_s: float = 0.0
    retry_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One sampling of one kind of datum has ended; the store and the snapshot hold its result."""

    t: float
    """When it ended, seconds since the epoch."""
    datum: Datum
    took_s: float = 0.0
    error: str = ""
    """Why the whole round failed; empty when it succeeded, also without single brokers."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds between two rounds. ``_visible_s`` is for the topics and groups in focus,
    ``_rest_s`` for all others."""

    metadata_s: float = 2.0
    metadata_large_s: float = 7.0
    """Instead of ``metadata_s`` in a cluster of more than ``large_partitions``."""
    large_partitions: int = 5000
    offsets_visible_s: float = 1.0
    offsets_rest_s: float = 5.0
    start_offsets_s: float = 10.0
    groups_s: float = 3.0
    committed_visible_s: float = 1.0
    committed_rest_s: float = 5.0
    log_dirs_s: float = 30.0
    quorum_s: float = 5.0
    round_timeout_s: float = 15.0
    back_off_first_s: float = 0.5
    back_off_most_s: float = 15.0
    small_partitions: int = 300
    """In a cluster of up to so many partitions every topic and group counts as visible."""
    partition_series: int = 2000
    """In a cluster of more partitions, only topics and groups in focus get a series per
    partition."""
