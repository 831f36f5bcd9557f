"""Connections to all brokers of a cluster, by broker id: dialled when needed, dropped
on any doubt, dialled again later.

A broker that does not answer is left alone for 0.5 s, then longer, up to 15 s; requests
to it get the last error at once meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, TypeVar

from kafka_client.errors import ClientError, TimedOut, Unreachable
from kafka_client.profile import ConnectionProfile, parse_address
from kafka_client.secrets import Secrets
from kafka_client.wire.dials import Dials
from kafka_client.wire.endpoint import Endpoint, Timeouts
from kafka_client.wire.single_flight import SingleFlight
from kafka_protocol.fields import Message

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

RECENT_S = 30.0
"""How long a round trip counts as recent."""
LEAST_TIMEOUT_S = 0.1


class ConnectionPool:
    """Used from one loop; ``connect`` first."""

    def __init__(
        self,
        profile: ConnectionProfile,
        secrets: Secrets,
        rng: random.Random | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self._profile = profile
        self._secrets = secrets
        self._rng = rng or random.Random()
        self._bootstrap = [
            self._endpoint(profile.dial(*parse_address(server)), server)
            for server in profile.bootstrap_servers
        ]
        self._brokers: dict[int, Endpoint] = {}
        self._fenced: frozenset[int] = frozenset()
        self._dials = Dials()
        self._flights = SingleFlight()

    async def connect(self, timeout_s: float) -> None:
        """Reach any bootstrap server. Raises: the error of the last that was tried."""
        await self._any_endpoint(timeout_s)

    async def close(self) -> None:
        await self._flights.close()
        for endpoint in [*self._bootstrap, *self._brokers.values()]:
            await endpoint.close()

    # ---- brokers
    @property
    def broker_ids(self) -> list[int]:
        return sorted(self._brokers)

    def update_brokers(
        self,
        brokers: Mapping[int, tuple[str, int]],
        fenced: Mapping[int, tuple[str, int]] | None = None,
    ) -> None:
        """Take over the brokers of a Metadata response: id -> the address that it
        advertises. The ``fenced`` ones get requests too, but none that any broker can
        answer: what they know may be old."""
        self._fenced = frozenset(fenced or ()) - frozenset(brokers)
        for broker_id, (host, port) in {**(fenced or {}), **brokers}.items():
            self.add_broker(broker_id, host, port)
        for broker_id in set(self._brokers) - set(brokers) - self._fenced:
            self._flights.in_background(self._brokers.pop(broker_id).close())

    def add_broker(self, broker_id: int, host: str, port: int) -> None:
        """Take over the address of one broker, which another response than Metadata names: the
        broker may have come back since the last Metadata."""
        address = self._profile.dial(host, port)
        known = self._brokers.get(broker_id)
        if known is None or known.address != address:
            if known is not None:
                self._flights.in_background(known.close())
            self._brokers[broker_id] = self._endpoint(
                address, f"broker {broker_id}", self._hasten_others, self._dials
            )

    def round_trips(self) -> dict[int, float]:
        """Milliseconds of the last round trip to each broker that answered within
        RECENT_S."""
        since = time.monotonic() - RECENT_S
        return {
            broker_id: endpoint.round_trip_ms
            for broker_id, endpoint in sorted(self._brokers.items())
            if endpoint.round_trip_ms is not None and endpoint.answered_at > since
        }

    # ---- requests
    async def request(
        self, broker_id: int, message: Message, timeout_s: float | None = None
    ) -> Any:
        """Send a request to this broker; without ``timeout_s`` wait for
        Timeouts.request_s.

        Raises:
            Unreachable, TimedOut, Unsupported.
        """
        return await self._broker(broker_id).request(message, timeout_s or self.timeouts.request_s)

    async def request_any(
        self, message: Message, timeout_s: float | None = None, one_broker_s: float | None = None
    ) -> Any:
        """Send a request to any broker; when one fails, try the next, each once.

        ``timeout_s`` limits all tries together, ``one_broker_s`` each of them
        (Timeouts.poll_s unless the request itself makes the broker wait).

        Raises:
            Unreachable, TimedOut: the last error.
            Unsupported.
        """
        deadline = time.monotonic() + (timeout_s or self.timeouts.request_s)
        most_s = one_broker_s or self.timeouts.poll_s
        tried: set[Endpoint] = set()
        while True:
            endpoint = await self._any_endpoint(deadline - time.monotonic(), tried)
            tried.add(endpoint)
            left_s = max(LEAST_TIMEOUT_S, deadline - time.monotonic())
            try:
                return await endpoint.request(message, min(most_s, left_s))
            except (Unreachable, TimedOut):
                all_tried = len(tried) >= len(self._brokers) + len(self._bootstrap)
                if all_tried or time.monotonic() >= deadline:
                    raise

    def limit_frames(self, broker_id: int, most_bytes: int) -> None:
        """Take responses of this broker up to this size. Raises: Unreachable, when the cluster
        does not list it."""
        self._broker(broker_id).limit_frames(most_bytes)

    async def version(self, api_key: int, broker_id: int | None = None) -> int:
        """The version that requests of this api use with a broker, or with any. Raises
        as ``request``."""
        endpoint = (
            await self._any_endpoint(self.timeouts.dial_s)
            if broker_id is None
            else self._broker(broker_id)
        )
        return (await endpoint.connection()).version(api_key)

    async def offers(self, api_key: int) -> bool:
        """Return whether any broker offers this api."""
        endpoint = await self._any_endpoint(self.timeouts.dial_s)
        return (await endpoint.connection()).offers(api_key)

    async def once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The result of ``make()``, or of the call with the same key that is under
        way."""
        return await self._flights.run(key, make)

    # ---- choosing an endpoint
    def _endpoint(
        self,
        address: tuple[str, int],
        subject: str,
        on_recovered: Callable[[], None] | None = None,
        dials: Dials | None = None,
    ) -> Endpoint:
        return Endpoint(
            self._profile,
            self._secrets,
            address,
            subject,
            self.timeouts,
            self._rng,
            on_recovered,
            dials,
        )

    def _broker(self, broker_id: int) -> Endpoint:
        endpoint = self._brokers.get(broker_id)
        if endpoint is None:
            raise Unreachable(
                f"The cluster does not list broker {broker_id}.",
                next_step="It may be down; refresh in a moment.",
                subject=f"broker {broker_id}",
            )
        return endpoint

    async def _any_endpoint(
        self, timeout_s: float, without: set[Endpoint] | frozenset[Endpoint] = frozenset()
    ) -> Endpoint:
        """The fastest open one, else the first that can be dialled; endpoints in
        back-off are tried last, but they are tried."""
        brokers = [
            endpoint
            for broker_id, endpoint in self._brokers.items()
            if broker_id not in self._fenced and endpoint not in without
        ]
        bootstrap = [e for e in self._bootstrap if e not in without]
        if ready := [e for e in brokers if e.is_open]:
            return min(ready, key=lambda e: e.round_trip_ms or 0.0)
        if ready := [e for e in bootstrap if e.is_open]:
            return ready[0]
        self._rng.shuffle(brokers)
        candidates = sorted(brokers + bootstrap, key=lambda e: e.not_before)
        problem: ClientError = Unreachable("No broker is left to try.")
        deadline = time.monotonic() + timeout_s
        for position, endpoint in enumerate(candidates):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            # Divide the time that is left among those that are left, with at least a
            # second each: one address that swallows packets must not use up the time of
            # all others.
            share_s = max(left_s / (len(candidates) - position), min(left_s, 1.0))
            try:
                await endpoint.dial(min(share_s, self.timeouts.dial_s))
                return endpoint
            except (Unreachable, TimedOut) as error:
                problem = error
        raise problem

    def _hasten_others(self) -> None:
        """A broker that comes back is seldom alone: dial the others that are waited for
        now."""
        for endpoint in self._brokers.values():
            endpoint.hasten()


async def gather(calls: Mapping[K, Awaitable[T]]) -> tuple[dict[K, T], dict[K, ClientError]]:
    """Wait for all calls; (results, errors) by the calls' keys, in their order. An
    exception other than a ClientError is raised."""
    outcomes = await asyncio.gather(*calls.values(), return_exceptions=True)
    results: dict[K, T] = {}
    errors: dict[K, ClientError] = {}
    for key, outcome in zip(calls, outcomes, strict=True):
        if isinstance(outcome, ClientError):
            errors[key] = outcome
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results[key] = outcome
    return results, errors
