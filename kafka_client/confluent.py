"""``ConfluentClient``: a real cluster. Records are sent and most changes made over confluent-kafka;
records are read over ``fetching``, everything else goes over ``wire``.

Nothing blocks the loop: confluent-kafka's blocking calls run in worker threads of this client.
Whether a change is allowed is decided by ``gateway.Gateway``, which ``gateway.open_client`` puts in
front.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from kafka_client.api import EARLIEST
from kafka_client.confluent_admin import Admin
from kafka_client.confluent_data import Sender
from kafka_client.error_map import from_code
from kafka_client.errors import BadInput, ClientError, TimedOut, Unreachable
from kafka_client.fetching.readers import KeptReader, Readers
from kafka_client.librdkafka import Properties, properties
from kafka_client.model import ConfigChange, NewRecord, Record, Topic, TopicPartition
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import MemorySecrets, Secrets
from kafka_client.wire import ConnectionPool, GroupClient, MetadataClient
from kafka_client.wire.configs import alter_configs, configs
from kafka_client.wire.describe import log_dirs, quorum
from kafka_client.wire.elections import elect_leaders
from kafka_client.wire.group_changes import GroupChanges
from kafka_protocol.errors import ErrorCode
from resources.wording import counted, seconds

T = TypeVar("T")

logger = logging.getLogger(__name__)

THREADS = 6
CALL_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 3.0
METADATA_RETRIES_S = (0.1, 0.3)
"""A broker may not know a topic yet that was just created: ask again after these waits."""
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


class ConfluentClient:
    """See ``api.ClusterClient``."""

    def __init__(self, profile: ConnectionProfile, secrets: Secrets | None = None) -> None:
        self.profile = profile.checked()
        self._keyring = secrets or MemorySecrets()
        self._secrets = MemorySecrets()
        """The secrets of this profile, once ``connect`` has read them from the keyring."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"kafka {profile.name}"[:60])
        self._pool = ConnectionPool(profile, self._secrets)
        self._sender: Sender | None = None
        self._closed = False

        metadata, groups = MetadataClient(self._pool), GroupClient(self._pool)
        self.metadata = metadata.metadata
        self.offsets = metadata.offsets
        self.quorum = partial(quorum, self._pool)
        self.log_dirs = partial(log_dirs, self._pool)
        self.configs = partial(configs, self._pool)
        self.list_groups = groups.list_groups
        self.describe_groups = groups.describe_groups
        self.committed = groups.committed
        self.round_trips = self._pool.round_trips
        self._readers = Readers(
            metadata,
            lambda: ConnectionPool(profile, self._secrets),
            self.in_thread,
            profile.properties,
        )

        admin = Admin(self._properties)
        self.create_topics = admin.create_topics
        self.delete_topics = admin.delete_topics
        self.create_partitions = admin.create_partitions
        self.delete_records = admin.delete_records

        changes = GroupChanges(self._pool, groups)
        self.alter_committed = changes.alter_committed
        self.delete_groups = changes.delete_groups

    async def connect(self, timeout_s: float = 10.0) -> None:
        name, servers = self.profile.name, ",".join(self.profile.bootstrap_servers)
        logger.info("connecting to %s (%s)", name, servers)
        await self._read_secrets()
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.connect(timeout_s)
        except TimeoutError:
            raise Unreachable(
                f"No bootstrap server answered within {seconds(timeout_s)}.",
                next_step="Check the addresses.",
            ) from None
        logger.info("connected to %s", name)

    async def close(self) -> None:
        """End all connections, within a few seconds whatever the cluster does."""
        self._closed = True
        await self._pool.close()
        closing: list[Awaitable[None]] = [self._readers.close()]
        if self._sender is not None:
            closing.append(self.in_thread(self._sender.close, always=True))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(*closing, return_exceptions=True)
        except TimeoutError:
            logger.warning("%s: confluent-kafka did not close in time", self.profile.name)
        self._threads.shutdown(wait=False, cancel_futures=True)
        logger.info("disconnected from %s", self.profile.name)

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        if not starts or max_records < 1:
            return []
        return await self._readers.read(await self._clamped(starts), max_records, max_wait_s)

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> KeptReader:
        return await self._readers.open(await self._clamped(starts), read_ahead)

    async def alter_configs(
        self, changes: Sequence[ConfigChange], validate_only: bool = False
    ) -> None:
        await alter_configs(self._pool, changes, validate_only)

    async def elect_leaders(
        self, partitions: Sequence[TopicPartition], unclean: bool = False
    ) -> None:
        await elect_leaders(self._pool, partitions, unclean)

    async def produce(
        self, records: Sequence[NewRecord], acks: int = -1, compression: str = "none"
    ) -> list[tuple[int, int]]:
        if compression not in COMPRESSIONS or acks not in (-1, 0, 1):
            raise BadInput(f"acks is 0, 1 or -1, compression one of {', '.join(COMPRESSIONS)}.")
        await self._check_partitions(records)
        if self._sender is None:
            self._sender = Sender(self._properties())
        sender = self._sender
        return await self.in_thread(lambda: sender.send(records, acks, compression))

    # ---- inside
    async def in_thread(self, work: Callable[[], T], always: bool = False) -> T:
        """Run blocking work in a worker thread. ``always``: also on a closed client. Raises:
        TimedOut after CALL_TIMEOUT_S (the work goes on in its thread), Unreachable when closed."""
        if self._closed and not always:
            raise Unreachable("The connection was closed.")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise TimedOut(f"No answer within {seconds(CALL_TIMEOUT_S)}.") from None

    async def _read_secrets(self) -> None:
        """Copy the profile's secrets from the keyring, which may wait for the person."""
        for reference in (self.profile.sasl_password_ref, self.profile.key_password_ref):
            if reference and self._secrets.get(reference) is None:
                secret = await self.in_thread(partial(self._keyring.get, reference))
                if secret is not None:
                    self._secrets.put(reference, secret)

    def _properties(self) -> Properties:
        return properties(self.profile, self._secrets)

    async def _clamped(self, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The offsets, none below the start of its log. Raises: Unreachable when the start of a
        partition cannot be read."""
        earliest, errors = await self.offsets(dict.fromkeys(starts, EARLIEST))
        missing = [tp for tp in starts if tp not in earliest]
        if missing:
            subject = f"{missing[0][0]}-{missing[0][1]}"
            error = errors.get(subject) or next(iter(errors.values()), "")
            raise Unreachable(
                f"Cannot read {subject}: {error or 'its leader does not answer.'}",
                next_step="Try again when the partition has a leader.",
                subject=subject,
            )
        return {tp: max(offset, earliest[tp]) for tp, offset in starts.items()}

    async def _check_partitions(self, records: Sequence[NewRecord]) -> None:
        """Raises: Rejected when a topic or partition does not exist. librdkafka would ask for its
        metadata, and thereby create the topic on a cluster that creates topics."""
        names = sorted({record.topic for record in records})
        topics = (await self.metadata(names)).topics
        for wait_s in METADATA_RETRIES_S:
            if all(name in topics and not topics[name].error for name in names):
                break
            await asyncio.sleep(wait_s)
            topics = (await self.metadata(names)).topics
        for record in records:
            if not _has_partition(topics.get(record.topic), record.partition):
                suffix = "" if record.partition is None else f"-{record.partition}"
                doing = f"send to {record.topic}{suffix}"
                error: ClientError = from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, doing, subject=record.topic
                )
                error.detail = f"0 of {counted(len(records), 'record')} were sent"
                raise error


def _has_partition(topic: Topic | None, partition: int | None) -> bool:
    """Return whether a record can go there; without a partition, whether the topic has any."""
    count = len(topic.partitions) if topic is not None else 0
    return count > 0 if partition is None else 0 <= partition < count
