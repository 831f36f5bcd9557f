"""What a reader does when a partition does not bring records: wait, follow its leader, pass what
cannot be read with a mark, or give up."""

from __future__ import annotations

import random
import time
from collections.abc import Coroutine
from typing import Any

from kafka_client import backoff
from kafka_client.api import EARLIEST, LATEST
from kafka_client.error_map import code_name, from_code
from kafka_client.errors import ClientError, TooLarge, Unreachable
from kafka_client.fetching.partition import PartitionRead
from kafka_client.fetching.requests import fetch_request, partitions_of
from kafka_client.fetching.segment import Gap, first_offset
from kafka_client.fetching.skipping import find_readable
from kafka_client.fetching.state import ReadState
from kafka_client.model import Unreadable
from kafka_client.wire.metadata import STALE_METADATA
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k01_fetch import PartitionData

RETRY_FIRST_S, RETRY_MOST_S = 0.1, 2.0
REFUSALS_MOST = 3
"""Answers that a batch cannot be read before it is passed: another replica may be better."""
UNKNOWN_MOST = 5
"""Times that a broker may not know a partition before it counts as deleted."""
PROBE_BYTES = 1
PROBE_TIMEOUT_S = 10.0
DAMAGED = frozenset(
    {
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.INVALID_RECORD,
        ErrorCode.UNKNOWN_SERVER_ERROR,  # Kafka's answer when it cannot read a segment
        ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    }
)
"""Codes by which a broker says that it cannot send what is stored at this offset."""
ELSEWHERE = STALE_METADATA | {ErrorCode.KAFKA_STORAGE_ERROR}
"""Codes after which another broker may lead the partition."""
_UNKNOWN = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})


class Troubles:
    def __init__(self, state: ReadState) -> None:
        self._state = state
        self._rng = random.Random()

    def refused(self, p: PartitionRead, code: int) -> None:
        """Its leader answered with an error instead of records."""
        error = _error(p, code)
        self._try_later(p, error)
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self._in_background(p, self._find_range(p, error))
        elif code in DAMAGED:
            self._state.stale.set()
            if p.failures >= REFUSALS_MOST:
                self.skip(p, f"The broker cannot read it: {code_name(code)}.")
        elif code in ELSEWHERE:
            p.leader = None
            self._state.stale.set()
            if code in _UNKNOWN and p.failures >= UNKNOWN_MOST:
                self._state.fail(error)
        elif not error.retriable:
            self._state.fail(error)

    def unanswered(self, p: PartitionRead, error: ClientError) -> None:
        """Its leader did not answer."""
        self._try_later(p, error)
        self._state.stale.set()
        if not error.retriable:
            self._state.fail(error)

    def skip(self, p: PartitionRead, why: str) -> None:
        """Pass with a mark what cannot be read at the next offset to fetch."""
        self._in_background(p, self._pass(p, why))

    # ---- inside
    def _try_later(self, p: PartitionRead, error: ClientError) -> None:
        wait_s = backoff.wait_s(p.failures, RETRY_FIRST_S, RETRY_MOST_S, self._rng)
        p.problem, p.failures = error, p.failures + 1
        p.not_before = time.monotonic() + wait_s

    def _in_background(self, p: PartitionRead, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except ClientError as error:
                self._try_later(p, error)
                self._state.stale.set()
            finally:
                p.busy = False
                self._state.wake()

        if p.busy:
            work.close()
            return
        p.busy = True
        self._state.start(run(), f"offsets of {p.tp[0]}-{p.tp[1]}")

    async def _find_range(self, p: PartitionRead, error: ClientError) -> None:
        """The next offset is not in the log any more, or not yet."""
        asked = p.fetch_at
        firsts, _ = await self._state.cluster.offsets({p.tp: EARLIEST})
        ends, _ = await self._state.cluster.offsets({p.tp: LATEST})
        if p.tp not in firsts or p.tp not in ends or not self._state.is_current(p):
            return
        if asked < firsts[p.tp]:
            self._mark(p, asked, firsts[p.tp], "Deleted before they were read.")
        elif asked > ends[p.tp]:
            self._state.fail(error)

    async def _pass(self, p: PartitionRead, why: str) -> None:
        bad = p.fetch_at
        ends, _ = await self._state.cluster.offsets({p.tp: LATEST}, "read_committed")
        end = max(bad + 1, ends.get(p.tp, p.log_end))

        async def probe(offset: int) -> int | None:
            return await self._probe(p, offset)

        readable = await find_readable(bad, end, probe)
        if self._state.is_current(p):
            self._mark(p, bad, readable, why)

    async def _probe(self, p: PartitionRead, offset: int) -> int | None:
        """See ``skipping.Probe``. Raises: ClientError when the leader does not answer that."""
        if p.leader is None:
            raise Unreachable(f"{p.tp[0]}-{p.tp[1]} has no leader now.", subject=p.tp[0])
        request = fetch_request({p.tp: offset}, PROBE_BYTES, PROBE_BYTES, 0, 0)
        try:
            response = await self._state.pool.request(p.leader, request, PROBE_TIMEOUT_S)
        except TooLarge:
            return None
        answers: dict[object, PartitionData] = dict(partitions_of(response))
        data = answers.get(p.tp)
        code = ErrorCode.UNKNOWN_SERVER_ERROR if data is None else data.error_code
        if code in DAMAGED:
            return None
        if data is None or code:
            raise _error(p, code)
        return first_offset(data.records or b"", offset)

    def _mark(self, p: PartitionRead, first: int, end: int, why: str) -> None:
        """Put a mark in place of these offsets."""
        if p.fetch_at == first:
            p.add(Gap(p.tp, first, Unreadable(end - 1, why)))
        p.failures, p.problem, p.not_before = 0, None, 0.0
        self._state.arrived.set()


def _error(p: PartitionRead, code: int) -> ClientError:
    return from_code(code, f"read {p.tp[0]}-{p.tp[1]}", subject=p.tp[0])
