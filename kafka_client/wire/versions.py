"""Which version of an api is used with a broker."""

from __future__ import annotations

from collections.abc import Mapping

from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import request_class

NEWEST_USED: Mapping[int, int] = {
    # Version 4 differs in nothing that is read here, and more brokers know 3.
    ApiKey.API_VERSIONS: 3,
    # Version 13 names topics by their ids alone.
    ApiKey.FETCH: 12,
    # Version 10 adds a time limit for records in tiered storage.
    ApiKey.LIST_OFFSETS: 9,
    # Version 10 names topics by their ids alone.
    ApiKey.OFFSET_COMMIT: 9,
    ApiKey.OFFSET_FETCH: 9,
}
"""The newest version to use of apis whose later versions bring nothing, or cost more
than they bring. For all other apis it is the newest that ``kafka_protocol`` knows."""

Ranges = Mapping[int, tuple[int, int]]
"""Api key -> (lowest, highest) version that a broker offers, from its ApiVersions
response."""


def negotiate(api_key: int, offered: Ranges) -> int | None:
    """The newest version that both sides know; None when there is none."""
    if api_key not in offered:
        return None
    lowest, highest = offered[api_key]
    known = request_class(api_key)
    newest = min(highest, NEWEST_USED.get(api_key, known.MAX_VERSION), known.MAX_VERSION)
    return newest if newest >= max(lowest, known.MIN_VERSION) else None
