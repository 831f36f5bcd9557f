"""The error of everything about embedded clusters."""

from __future__ import annotations

from kafka_client.errors import ClientError


class EmbeddedError(ClientError):
    """An embedded cluster, or its data, could not do what was asked."""

    retriable = False
