"""ApiVersions (18): the supported APIs and versions, which a client asks for first.

* An unsupported version is answered in version 0 with UNSUPPORTED_VERSION and the range
  of this API (KIP-511). The shell does that, because such a request cannot be decoded.
* From version 3 on the client names its software; a name that is not a plain word is
  refused (INVALID_REQUEST).
* Tagged fields keep their default when there is nothing to report: librdkafka before
  2.2.0 misreads an empty list of features followed by an epoch. Version 3 also omits
  features whose lowest version is 0 (KAFKA-17011).
"""

from __future__ import annotations

import re
from functools import cache

from embedded_broker.core.api.versions import TABLE
from embedded_broker.core.environment import Environment
from embedded_broker.core.events import RequestReceived
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
SUPPORTED_FEATURES: dict[str, tuple[int, int]] = {"metadata.version": (1, 25)}
"""Feature name -> (lowest, highest) level that this broker supports."""
SOFTWARE_SINCE = 3


def api_versions(env: Environment, now_ms: int, event: RequestReceived) -> None:
    """Return the supported APIs and the finalized features."""
    request: ApiVersionsRequest = event.message
    if event.version >= SOFTWARE_SINCE and not (
        _SOFTWARE.fullmatch(request.client_software_name)
        and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        env.outbox.respond(event, ApiVersionsResponse(ErrorCode.INVALID_REQUEST))
        return
    response = ApiVersionsResponse(api_keys=list(_advertised()))
    finalized = env.image.features
    if event.version >= SOFTWARE_SINCE and finalized:
        response.supported_features = [
            SupportedFeatureKey(name, low, high)
            for name, (low, high) in sorted(SUPPORTED_FEATURES.items())
            if low > 0 or event.version >= 4
        ]
        response.finalized_features = [
            FinalizedFeatureKey(n, level, level) for n, level in sorted(finalized.items())
        ]
        response.finalized_features_epoch = env.image.offset
    env.outbox.respond(event, response)


def unsupported_version() -> ApiVersionsResponse:
    """The response, in version 0, to a request of an unsupported version: the range of
    this API, so that the client can ask again."""
    own = TABLE[ApiKey.API_VERSIONS]
    supported = ApiVersion(ApiKey.API_VERSIONS, own.min_version, own.max_version)
    return ApiVersionsResponse(ErrorCode.UNSUPPORTED_VERSION, [supported])


@cache
def _advertised() -> tuple[ApiVersion, ...]:
    return tuple(
        ApiVersion(key, api.min_version, api.max_version)
        for key, api in sorted(TABLE.items())
        if not api.between_brokers
    )
