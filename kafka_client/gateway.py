"""The one door through which changes go: refused on a read-only connection, journaled on any other.

The window, the command line and the demo get a client only from ``open_client``, so no caller can
forget the check. Reads pass through as they are. ``_guarded`` wraps each method of
``ClusterWriter``; one that is not wrapped here does not exist on the gateway, so a new change is
closed until it gets its line. A test compares both with the ports.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from kafka_client.api import ClusterClient
from kafka_client.errors import ClientError, ReadOnly
from kafka_client.journal import DONE, Journal, JournalEntry, described
from kafka_client.model import ConfigChange, NewRecord, NewTopic, TopicPartition
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets
from resources.wording import counted, listed

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

NAMES_MOST = 20
"""How many names the subject of one journal entry lists."""


def open_client(
    profile: ConnectionProfile, secrets: Secrets | None = None, journal: Journal | None = None
) -> Gateway:
    """The client for a profile, not yet connected. Without a ``journal`` its changes are logged
    only."""
    from kafka_client.confluent import ConfluentClient

    return Gateway(
        ConfluentClient(profile, secrets),
        read_only=profile.writes_refused,
        journal=journal,
        cluster=profile.name,
    )


class Gateway:
    """A ``ClusterClient`` in front of another. ``cluster`` names the connection in the journal."""

    def __init__(
        self,
        client: ClusterClient,
        *,
        read_only: bool = False,
        journal: Journal | None = None,
        cluster: str = "",
    ) -> None:
        self.read_only = read_only
        self._journal = journal
        self._cluster = cluster

        self.connect = client.connect
        self.close = client.close

        self.metadata = client.metadata
        self.quorum = client.quorum
        self.offsets = client.offsets
        self.log_dirs = client.log_dirs
        self.list_groups = client.list_groups
        self.describe_groups = client.describe_groups
        self.committed = client.committed
        self.configs = client.configs
        self.read = client.read
        self.open_reader = client.open_reader
        self.round_trips = client.round_trips

        self.create_topics = self._guarded("create_topics", client.create_topics, _new_topics)
        self.delete_topics = self._guarded("delete_topics", client.delete_topics, _names)
        self.create_partitions = self._guarded(
            "create_partitions", client.create_partitions, _growth
        )
        self.delete_records = self._guarded(
            "delete_records", client.delete_records, _records_before
        )
        self.alter_configs = self._guarded("alter_configs", client.alter_configs, _settings)
        self.alter_committed = self._guarded(
            "alter_committed", client.alter_committed, _group_offsets
        )
        self.delete_groups = self._guarded("delete_groups", client.delete_groups, _groups)
        self.elect_leaders = self._guarded("elect_leaders", client.elect_leaders, _elections)
        self.produce = self._guarded("produce", client.produce, _records)

    def _guarded(
        self,
        method: str,
        send: Callable[P, Coroutine[Any, Any, T]],
        subject_of: Callable[..., str],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """``send`` behind the check and the journal. ``subject_of`` gets the same arguments and
        returns what the change is about: names and counts, never values."""

        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            subject = subject_of(*args, **kwargs)
            if self.read_only:
                raise ReadOnly(
                    "This connection is read-only; nothing was sent.",
                    next_step="Switch read-only off in the connection's settings.",
                    subject=subject,
                )
            outcome = DONE
            try:
                return await send(*args, **kwargs)
            except ClientError as error:
                outcome = str(error)
                raise
            except asyncio.CancelledError:
                outcome = "Cancelled. The cluster may have carried it out all the same."
                raise
            except Exception as error:
                outcome = f"Internal error: {type(error).__name__}"
                raise
            finally:
                self._record(method, subject, outcome)

        return guarded

    def _record(self, method: str, subject: str, outcome: str) -> None:
        entry = described(
            JournalEntry(time.time(), self._cluster, method, subject, outcome=outcome)
        )
        logger.info("%s on %s (%s): %s", method, self._cluster, subject, outcome)
        if self._journal is not None:
            self._journal.record(entry)


# ---- subjects: the arguments of each method as one text for the journal


def _names(names: Sequence[str]) -> str:
    return listed(names, NAMES_MOST)


def _new_topics(topics: Sequence[NewTopic], validate_only: bool = False) -> str:
    return _names([topic.name for topic in topics]) + _dry_run(validate_only)


def _growth(topic: str, total: int) -> str:
    return f"{topic} to {counted(total, 'partition')}"


def _partitions(partitions: Iterable[TopicPartition]) -> str:
    return _names([f"{topic}-{partition}" for topic, partition in partitions])


def _records_before(before: Mapping[TopicPartition, int]) -> str:
    return _partitions(before)


def _elections(partitions: Sequence[TopicPartition], unclean: bool = False) -> str:
    return _partitions(partitions) + (" (unclean)" if unclean else "")


def _groups(group_ids: Sequence[str]) -> str:
    return _names(group_ids)


def _settings(changes: Sequence[ConfigChange], validate_only: bool = False) -> str:
    """Names of settings without their values: one may be a password."""
    by_resource: dict[str, list[str]] = {}
    for change in changes:
        resource = f"{change.resource.kind} {change.resource.name or 'default'}"
        by_resource.setdefault(resource, []).append(change.name)
    parts = [f"{resource}: {_names(names)}" for resource, names in sorted(by_resource.items())]
    return "; ".join(parts[:NAMES_MOST]) + _dry_run(validate_only)


def _group_offsets(group_id: str, offsets: Mapping[TopicPartition, int]) -> str:
    return f"{group_id} in {counted(len(offsets), 'partition')}"


def _records(records: Sequence[NewRecord], acks: int = -1, compression: str = "none") -> str:
    """Topics and numbers of records, never what they hold."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.topic] = counts.get(record.topic, 0) + 1
    return _names([f"{topic}: {counted(n, 'record')}" for topic, n in sorted(counts.items())])


def _dry_run(validate_only: bool) -> str:
    return " (validated only)" if validate_only else ""
