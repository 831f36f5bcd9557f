"""Watching a cluster: what is read when, and what is computed from it."""

from kafka_client.sampling.sampler import Sampler
from kafka_client.sampling.state import ConnectionKind, ConnectionState, Round, Schedule
from kafka_client.sampling.store import SeriesStore

__all__ = ["ConnectionKind", "ConnectionState", "Round", "Sampler", "Schedule", "SeriesStore"]
