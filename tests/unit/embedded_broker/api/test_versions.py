"""The one check of a request's version, and the table that it shares with the handlers."""

from __future__ import annotations

import pytest

from embedded_broker.core.api import AUTHENTICATION, TABLE, unsupported
from embedded_broker.core.api.handlers import BINDERS
from embedded_broker.core.api.k18_api_versions import unsupported_version
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.codec import request_class
from kafka_protocol.errors import ErrorCode


def test_that_every_advertised_api_has_a_handler() -> None:
    assert BINDERS.keys() == TABLE.keys()


@pytest.mark.parametrize("key", sorted({**TABLE, **AUTHENTICATION}))
def test_that_exactly_the_versions_that_can_be_decoded_are_supported(key: int) -> None:
    api, cls = {**TABLE, **AUTHENTICATION}[key], request_class(key)
    for version in range(-1, max(api.max_version, cls.MAX_VERSION) + 2):
        advertised = api.min_version <= version <= api.max_version
        decodable = cls.MIN_VERSION <= version <= cls.MAX_VERSION
        assert (unsupported(key, version) == "") == (advertised and decodable), version


def test_that_an_advertised_version_is_decodable_except_of_produce() -> None:
    undecodable = {
        (key, version)
        for key, api in TABLE.items()
        for version in range(api.min_version, api.max_version + 1)
        if unsupported(key, version)
    }
    assert undecodable == {(ApiKey.PRODUCE, version) for version in (0, 1, 2)}


def test_that_the_reason_names_key_and_version() -> None:
    assert unsupported(ApiKey.METADATA, 99) == "unsupported version 99 of API key 3"
    assert unsupported(999, 0) == "unsupported API key 999"


def test_that_an_unsupported_api_versions_request_learns_the_range_row_7() -> None:
    response = unsupported_version()
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    (own,) = response.api_keys
    assert (own.api_key, own.min_version, own.max_version) == (ApiKey.API_VERSIONS, 0, 4)
