"""Settings, and the brokers that the requests for them go to."""

from __future__ import annotations

from functools import partial

import pytest

from kafka_client.errors import Rejected
from kafka_client.model import ConfigChange, ConfigResource, ConfigSource
from kafka_client.wire.configs import alter_configs, configs
from kafka_protocol import constants
from kafka_protocol.api_keys import ApiKey
from kafka_protocol.constants import ConfigOperation, ConfigResourceType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from kafka_protocol.messages.k44_incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
)
from tests.unit.kafka_client.wire.cluster import Cluster

TOPIC = ConfigResource("topic", "t1")
OWN = ConfigResource("broker", "2")
DEFAULT = ConfigResource("broker", "")


def described(request, *entries):
    return DescribeConfigsResponse(
        results=[
            DescribeConfigsResult(0, None, r.resource_type, r.resource_name, list(entries))
            for r in request.resources
        ]
    )


async def test_that_a_default_is_in_the_settings_own_unit_and_secrets_are_hidden():
    async with Cluster(1) as cluster:
        await cluster.client.metadata()
        source = constants.ConfigSource
        retention = DescribeConfigsResourceResult(
            "retention.ms",
            "5",
            config_source=source.TOPIC,
            synonyms=[
                DescribeConfigsSynonym("retention.ms", "5", source.TOPIC),
                DescribeConfigsSynonym("log.retention.hours", "168", source.DEFAULT),
            ],
            config_type=5,
            documentation="How long.",
        )
        secret = DescribeConfigsResourceResult("a.password", "x", is_sensitive=True)
        cluster.brokers[0].answers[ApiKey.DESCRIBE_CONFIGS] = lambda r: described(
            r, retention, secret
        )
        first, second = (await configs(cluster.pool, [TOPIC]))[TOPIC]
        assert (first.name, first.value, first.source) == ("a.password", None, ConfigSource.UNKNOWN)
        assert first.sensitive and first.kind == "unknown"
        assert (second.value, second.source, second.kind) == ("5", ConfigSource.TOPIC, "long")
        assert (second.default, second.text) == ("604800000", "How long.")


async def test_that_a_brokers_own_settings_are_read_from_itself():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        requested: list[tuple[int, str]] = []

        def answer(node_id, request):
            requested.extend((node_id, resource.resource_name) for resource in request.resources)
            return described(request)

        for broker in cluster.brokers:
            broker.answers[ApiKey.DESCRIBE_CONFIGS] = partial(answer, broker.node_id)
        found = await configs(cluster.pool, [TOPIC, OWN, DEFAULT])
        assert set(found) == {TOPIC, OWN, DEFAULT}
        assert (2, "2") in requested and len({node for node, name in requested if name != "2"}) == 1


async def test_that_a_topic_that_a_broker_does_not_know_yet_is_asked_for_again():
    async with Cluster(1) as cluster:
        await cluster.client.metadata()
        codes = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NONE]

        def answer(request):
            response = described(request)
            response.results[0].error_code = codes.pop(0)
            return response

        cluster.brokers[0].answers[ApiKey.DESCRIBE_CONFIGS] = answer
        assert list(await configs(cluster.pool, [TOPIC])) == [TOPIC]
        codes[:] = [ErrorCode.INVALID_REQUEST]
        with pytest.raises(Rejected, match="Cannot read the settings of topic t1"):
            await configs(cluster.pool, [TOPIC])


async def test_that_changes_are_one_request_a_broker_and_the_first_refusal_is_raised():
    async with Cluster(2) as cluster:
        await cluster.client.metadata()
        requests = []
        refused = []

        def answer(request):
            requests.append(request)
            return IncrementalAlterConfigsResponse(
                responses=[
                    AlterConfigsResourceResponse(
                        ErrorCode.INVALID_CONFIG if r.resource_name in refused else ErrorCode.NONE,
                        "no\nnumber",
                        r.resource_type,
                        r.resource_name,
                    )
                    for r in request.resources
                ]
            )

        for broker in cluster.brokers:
            broker.answers[ApiKey.INCREMENTAL_ALTER_CONFIGS] = answer
        changes = [
            ConfigChange(TOPIC, "retention.ms", "7"),
            ConfigChange(TOPIC, "segment.ms", None),
            ConfigChange(DEFAULT, "log.retention.ms", "8"),
            ConfigChange(OWN, "log.retention.ms", "9"),
        ]
        await alter_configs(cluster.pool, changes, validate_only=True)
        shared, own = requests
        assert shared.validate_only and own.validate_only
        assert [(r.resource_type, r.resource_name) for r in shared.resources] == [
            (ConfigResourceType.TOPIC, "t1"),
            (ConfigResourceType.BROKER, ""),
        ]
        assert [(c.name, c.config_operation, c.value) for c in shared.resources[0].configs] == [
            ("retention.ms", ConfigOperation.SET, "7"),
            ("segment.ms", ConfigOperation.DELETE, None),
        ]
        refused.append("")
        with pytest.raises(Rejected, match="Cannot change settings of broker default") as caught:
            await alter_configs(cluster.pool, changes, validate_only=False)
        assert caught.value.detail == "no number"
