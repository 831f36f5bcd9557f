"""``ConfluentClient``: a real cluster. Records and changes go over confluent-kafka, looking goes
over ``wire``.

Nothing blocks the loop: confluent-kafka's blocking calls run in worker threads of this client's
own. It does not ask whether it may write: that is ``gateway.Gateway``, which
``gateway.open_client`` puts in front.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from kafka_client.api import EARLIEST
from kafka_client.confluent_admin import Admin
from kafka_client.confluent_data import LogRing, Reader, Sender, make_logger, properties
from kafka_client.error_map import from_code
from kafka_client.errors import BadInput, ClientError, TimedOut, Unreachable
from kafka_client.model import (
    ConfigChange,
    NewRecord,
    Record,
    TopicPartition,
)
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import MemorySecrets, Secrets
from kafka_client.wire import ConnectionPool, GroupClient, MetadataClient
from kafka_client.wire.configs import alter_configs, configs
from kafka_client.wire.describe import log_dirs, quorum
from kafka_client.wire.elections import elect_leaders
from kafka_protocol.errors import ErrorCode

T = TypeVar("T")

THREADS = 6
READERS_KEPT = 2
CALL_TIMEOUT_S = 30.0
BEHIND_S = (0.1, 0.3)
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


class ConfluentReader:
    """``api.RecordReader`` over one consumer."""

    def __init__(self, client: ConfluentClient, reader: Reader) -> None:
        self._client, self._reader = client, reader
        self._busy = asyncio.Lock()

    async def next(self, max_records: int, max_wait_s: float) -> list[Record]:
        async with self._busy:
            return await self._client.in_thread(lambda: self._reader.next(max_records, max_wait_s))

    def positions(self) -> Mapping[TopicPartition, int]:
        return self._reader.positions()

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader.resume(partitions)

    async def close(self) -> None:
        async with self._busy:
            await self._client.in_thread(self._reader.close)


class ConfluentClient:
    """See ``api.ClusterClient``."""

    def __init__(self, profile: ConnectionProfile, secrets: Secrets | None = None) -> None:
        self.profile = profile.checked()
        self.log = LogRing()
        self._given = secrets or MemorySecrets()
        self._secrets = MemorySecrets()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"kafka {profile.name}"[:60])
        self._pool = ConnectionPool(profile, self._secrets)
        self._sender: Sender | None = None
        self._idle: list[Reader] = []
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

        admin = Admin(self._base, self._logger())
        self.create_topics = admin.create_topics
        self.delete_topics = admin.delete_topics
        self.create_partitions = admin.create_partitions
        self.delete_records = admin.delete_records
        self.alter_committed = admin.alter_committed
        self.delete_groups = admin.delete_groups

    async def connect(self, timeout_s: float = 10.0) -> None:
        await self._fetch_secrets()
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.connect(timeout_s)
        except TimeoutError:
            raise Unreachable(
                "No bootstrap server answered in time.", next_step="Check the addresses."
            ) from None

    async def close(self) -> None:
        """Ends within a few seconds whatever the cluster does."""
        self._closed = True
        await self._pool.close()
        readers, self._idle = self._idle, []
        closing = [self.in_thread(reader.close, always=True) for reader in readers]
        if self._sender is not None:
            closing.append(self.in_thread(self._sender.close, always=True))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await asyncio.gather(*closing, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(
        self, starts: Mapping[TopicPartition, int], max_records: int, max_wait_s: float = 0.5
    ) -> list[Record]:
        if not starts or max_records < 1:
            return []
        begin = await self._not_before_start(starts)
        reader = self._idle.pop() if self._idle else None
        try:
            if reader is None:
                reader = await self.in_thread(
                    lambda: Reader(self._base(), self._logger(), begin, min(max_records, 1000))
                )
            else:
                await self.in_thread(lambda: reader.seek(begin))
            return await self.in_thread(lambda: reader.next(max_records, max_wait_s))
        finally:
            if reader is not None:
                self._give_back(reader)

    async def open_reader(
        self, starts: Mapping[TopicPartition, int], read_ahead: int = 1000
    ) -> ConfluentReader:
        begin = await self._not_before_start(starts)
        reader = await self.in_thread(
            lambda: Reader(self._base(), self._logger(), begin, read_ahead)
        )
        return ConfluentReader(self, reader)

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
        await self._must_exist(records)
        if self._sender is None:
            self._sender = Sender(self._base(), self._logger())
        sender = self._sender
        return await self.in_thread(lambda: sender.send(records, acks, compression))

    # ---- inside
    async def in_thread(self, work: Callable[[], T], always: bool = False) -> T:
        """Run blocking work in this client's threads. Raises: TimedOut after half a minute (the
        thread goes on)."""
        if self._closed and not always:
            raise Unreachable("The connection was closed.")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise TimedOut(f"No answer within {CALL_TIMEOUT_S:g} s.") from None

    async def _fetch_secrets(self) -> None:
        """Out of the keyring, which may ask the person: in a thread, once."""
        for reference in (self.profile.sasl_password_ref, self.profile.key_password_ref):
            if reference and self._secrets.get(reference) is None:
                secret = await self.in_thread(partial(self._given.get, reference))
                if secret is not None:
                    self._secrets.put(reference, secret)

    def _base(self) -> dict[str, object]:
        return properties(self.profile, self._secrets)

    def _logger(self) -> logging.Logger:
        return make_logger(self.log)

    async def _not_before_start(
        self, starts: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Offsets below the log's start are the log's start. Raises: the error of a partition
        that cannot be asked."""
        earliest, errors = await self.offsets(dict.fromkeys(starts, EARLIEST))
        missing = [tp for tp in starts if tp not in earliest]
        if missing:
            topic, partition = missing[0]
            words = errors.get(f"{topic}-{partition}") or next(iter(errors.values()), "")
            raise Unreachable(
                f"Cannot read {topic}-{partition}: {words or 'its leader does not answer.'}",
                next_step="Try again when the partition has a leader.",
                subject=f"{topic}-{partition}",
            )
        return {tp: max(offset, earliest[tp]) for tp, offset in starts.items()}

    async def _must_exist(self, records: Sequence[NewRecord]) -> None:
        """A producer's question for an unknown topic would create it. A broker may be a moment
        behind: ask again."""
        names = sorted({record.topic for record in records})
        known = (await self.metadata(names)).topics
        for wait_s in BEHIND_S:
            if all(name in known and not known[name].error for name in names):
                break
            await asyncio.sleep(wait_s)
            known = (await self.metadata(names)).topics
        for record in records:
            topic = known.get(record.topic)
            count = len(topic.partitions) if topic else 0
            if not count or (record.partition is not None and not 0 <= record.partition < count):
                where = (
                    record.topic
                    if record.partition is None
                    else f"{record.topic}-{record.partition}"
                )
                error: ClientError = from_code(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"send to {where}", subject=record.topic
                )
                error.detail = f"0 of {len(records)} records were sent"
                raise error

    def _give_back(self, reader: Reader) -> None:
        if len(self._idle) < READERS_KEPT and not self._closed:
            self._idle.append(reader)
        else:
            self._threads.submit(reader.close)
