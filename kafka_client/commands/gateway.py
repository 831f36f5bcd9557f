"""The one door through which changes reach a cluster: closed when the connection is read-only.

Whoever gets a client from a session gets it through ``guarded``; the window, the command line and scripts alike.
"""

from __future__ import annotations

from typing import Any, cast

from kafka_client.api import ClusterClient
from kafka_client.errors import ReadOnly

CHANGING = frozenset(
    {
        "create_topics",
        "delete_topics",
        "create_partitions",
        "delete_records",
        "alter_configs",
        "alter_committed",
        "delete_groups",
        "elect_leaders",
        "produce",
    }
)
"""The methods of ``ClusterClient`` that change anything; a test holds this against the Protocol."""
LOOKING = frozenset(
    {
        "connect",
        "close",
        "metadata",
        "quorum",
        "offsets",
        "log_dirs",
        "list_groups",
        "describe_groups",
        "committed",
        "configs",
        "read",
        "round_trips",
    }
)


class _ReadOnlyClient:
    """Passes on what looks, refuses everything else: a method that is new is closed until it is named."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name in LOOKING:
            return getattr(self._client, name)
        raise ReadOnly(
            "This connection is read-only; nothing was sent.",
            next_step="To change the cluster, edit the connection and take the read-only mark away.",
            subject=name,
        )


def guarded(client: ClusterClient, read_only: bool) -> ClusterClient:
    """The client itself, or one that can only look."""
    return cast(ClusterClient, _ReadOnlyClient(client)) if read_only else client
