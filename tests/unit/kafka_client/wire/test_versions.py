"""The version that is used with a broker."""

from __future__ import annotations

import pytest

from kafka_client.wire.versions import negotiate
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.messages.k03_metadata import MetadataRequest


@pytest.mark.parametrize(
    ("offered", "version"),
    [((0, 5), 5), ((0, 99), MetadataRequest.MAX_VERSION), ((5, 5), 5), ((98, 99), None)],
)
def test_that_the_newest_version_that_both_sides_know_is_used(
    offered: tuple[int, int], version: int | None
) -> None:
    assert negotiate(ApiKey.METADATA, {ApiKey.METADATA: offered}) == version


def test_that_an_api_that_is_not_offered_has_no_version() -> None:
    assert negotiate(ApiKey.METADATA, {}) is None


def test_that_newer_versions_that_bring_nothing_are_not_used() -> None:
    assert negotiate(ApiKey.OFFSET_FETCH, {ApiKey.OFFSET_FETCH: (1, 10)}) == 9
    assert negotiate(ApiKey.OFFSET_FETCH, {ApiKey.OFFSET_FETCH: (1, 7)}) == 7
