"""ApiVersions (18): what this broker speaks, told before anything else is agreed.

* An unknown version is answered in version 0 with UNSUPPORTED_VERSION and the range of this api
  (KIP-511); the shell writes that answer in version 0 because it knows the version asked for.
* From version 3 the client names its software; a name that is not a plain word is refused
  (INVALID_REQUEST).
* Tagged fields stay at their default unless there is something to say: librdkafka before 2.2.0
  misreads an empty list of features followed by an epoch. Version 3 also hides features whose
  lowest version is 0 (KAFKA-17011).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from embedded_broker.core.api import TABLE
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
SUPPORTED_FEATURES: dict[str, tuple[int, int]] = {"metadata.version": (1, 25)}
"""Feature name -> (lowest, highest) level that this broker knows."""


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    entry = TABLE[ApiKey.API_VERSIONS]
    if not entry.min_version <= event.version <= entry.max_version:
        own = ApiVersion(ApiKey.API_VERSIONS, entry.min_version, entry.max_version)
        broker.outbox.respond(event, ApiVersionsResponse(ErrorCode.UNSUPPORTED_VERSION, [own]))
        return
    request: ApiVersionsRequest = event.message
    if event.version >= 3 and not (
        _SOFTWARE.fullmatch(request.client_software_name)
        and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        broker.outbox.respond(event, ApiVersionsResponse(ErrorCode.INVALID_REQUEST))
        return
    response = ApiVersionsResponse(api_keys=list(_offered()))
    finalized = broker.image.features
    if event.version >= 3 and finalized:
        response.supported_features = [
            SupportedFeatureKey(name, low, high)
            for name, (low, high) in sorted(SUPPORTED_FEATURES.items())
            if low > 0 or event.version >= 4
        ]
        response.finalized_features = [
            FinalizedFeatureKey(n, level, level) for n, level in sorted(finalized.items())
        ]
        response.finalized_features_epoch = broker.image.offset
    broker.outbox.respond(event, response)


@cache
def _offered() -> tuple[ApiVersion, ...]:
    return tuple(
        ApiVersion(key, entry.min_version, entry.max_version)
        for key, entry in sorted(TABLE.items())
        if not entry.between_brokers
    )
