"""Settings are described, and changed while brokers run."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any, cast
from uuid import UUID

import pytest

from embedded_broker.core.api.k32_describe_configs import describe_configs
from embedded_broker.core.api.slices import Handler
from embedded_broker.core.controller.configs import alter_configs
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.effects import Respond
from embedded_broker.core.events import Caller, RequestReceived
from embedded_broker.core.metadata.image import (
    BROKER,
    TOPIC,
    BrokerImage,
    MetadataDelta,
    TopicImage,
)
from embedded_broker.core.metadata.replay import replay
from embedded_broker.options import OPTIONS
from kafka_protocol.codec import decode, encode
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages import k33_alter_configs as k33
from kafka_protocol.messages import k44_incremental_alter_configs as k44
from kafka_protocol.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from tests.unit.embedded_broker.fakes import environment

SET, DELETE, APPEND, SUBTRACT = range(4)


class Desk:
    """Calls the handlers; it is their controller, and applies what they propose at once."""

    def __init__(self, text: str = "") -> None:
        self.env = environment("node.id=1\n" + text)
        self.image = self.env.image
        self.config = self.env.config
        self.is_active = True
        self.image.topics["t"] = TopicImage(UUID(int=5), "t")
        self.image.brokers = {n: BrokerImage(n, n, UUID(int=n), ()) for n in (1, 2)}
        self._handlers: dict[type, Handler] = {
            DescribeConfigsRequest: partial(describe_configs, self.env),
            k33.AlterConfigsRequest: partial(alter_configs, cast(Controller, self)),
            k44.IncrementalAlterConfigsRequest: partial(alter_configs, cast(Controller, self)),
        }

    def reply(self, now_ms: int, event: RequestReceived, records: list[Any], response: Any) -> None:
        for record in records:
            replay(self.image, record, MetadataDelta())
        self.image.version += 1
        self.env.outbox.respond(event, response)

    def ask(self, message: Any, version: int) -> Any:
        event = RequestReceived(
            1, version, decode(type(message), version, encode(message, version)), Caller(1, "", "")
        )
        deque(self._handlers[type(message)](0, event) or (), maxlen=0)
        (answer,) = self.env.outbox.take()
        assert isinstance(answer, Respond)
        return decode(type(answer.message), version, encode(answer.message, version))

    def change(
        self, kind: int, name: str, *changes: tuple[str, int, str | None], check: bool = False
    ) -> Any:
        configs = [k44.AlterableConfig(*change) for change in changes]
        message = k44.IncrementalAlterConfigsRequest(
            [k44.AlterConfigsResource(kind, name, configs)], check
        )
        return self.ask(message, 1).responses[0]

    def describe(
        self, kind: int, name: str, keys: list[str] | None = None, version: int = 4
    ) -> Any:
        message = DescribeConfigsRequest([DescribeConfigsResource(kind, name, keys)], True, True)
        return self.ask(message, version).results[0]


def test_that_a_topics_setting_is_set_and_deleted() -> None:
    desk = Desk()
    assert desk.change(TOPIC, "t", ("retention.ms", SET, "5")).error_code == 0
    assert desk.config.topic("t", "retention.ms") == 5
    found = desk.describe(TOPIC, "t", ["retention.ms"]).configs[0]
    assert (found.value, found.config_source, found.read_only, found.config_type) == (
        "5",
        1,
        False,
        5,
    )
    assert [(s.name, s.source) for s in found.synonyms] == [
        ("retention.ms", 1),
        ("log.retention.hours", 5),
    ]
    assert found.documentation.startswith("Age at which segments")
    assert desk.change(TOPIC, "t", ("retention.ms", DELETE, None)).error_code == 0
    assert desk.config.topic("t", "retention.ms") == 604_800_000 and desk.image.configs == {}


def test_that_validate_only_changes_nothing() -> None:
    desk = Desk()
    assert desk.change(TOPIC, "t", ("retention.ms", SET, "5"), check=True).error_code == 0
    assert (
        desk.change(TOPIC, "t", ("retention.ms", SET, "x"), check=True).error_code
        == ErrorCode.INVALID_CONFIG
    )
    assert desk.image.configs == {}


def test_that_lists_are_appended_to_and_subtracted_from() -> None:
    desk = Desk()
    desk.change(TOPIC, "t", ("cleanup.policy", APPEND, "compact"))
    assert desk.config.topic("t", "cleanup.policy") == ("delete", "compact")
    desk.change(TOPIC, "t", ("cleanup.policy", SUBTRACT, "delete"))
    assert desk.config.topic("t", "cleanup.policy") == ("compact",)
    assert (
        desk.change(TOPIC, "t", ("retention.ms", APPEND, "1")).error_code
        == ErrorCode.INVALID_CONFIG
    )


def test_that_an_invalid_change_is_refused_in_a_sentence_and_changes_nothing() -> None:
    desk = Desk()
    refused = desk.change(TOPIC, "t", ("segment.bytes", SET, "100"), ("retention.mss", SET, "5"))
    assert (
        refused.error_code == ErrorCode.INVALID_CONFIG
        and "did you mean retention.ms?" in refused.error_message
    )
    assert desk.image.configs == {}
    assert (
        desk.change(TOPIC, "gone", ("retention.ms", SET, "5")).error_code
        == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )
    assert (
        desk.change(BROKER, "7", ("log.retention.ms", SET, "5")).error_code
        == ErrorCode.INVALID_REQUEST
    )
    assert desk.change(8, "1", ("x", SET, "INFO")).error_code == ErrorCode.INVALID_REQUEST
    assert (
        desk.change(TOPIC, "t", ("retention.ms", SET, None)).error_code == ErrorCode.INVALID_REQUEST
    )
    twice = desk.change(TOPIC, "t", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    assert twice.error_code == ErrorCode.INVALID_REQUEST
    resource = k44.AlterConfigsResource(TOPIC, "t", [k44.AlterableConfig("retention.ms", SET, "1")])
    both = desk.ask(k44.IncrementalAlterConfigsRequest([resource, resource]), 1).responses
    assert [r.error_code for r in both] == [ErrorCode.INVALID_REQUEST] * 2


@pytest.mark.parametrize("name", sorted(n for n, o in OPTIONS.items() if o.sensitive))
def test_that_no_secret_goes_to_the_metadata_log(name: str) -> None:
    desk = Desk()
    refused = desk.change(BROKER, "1", (name, SET, "hunter2"))
    assert refused.error_code == ErrorCode.INVALID_CONFIG
    assert "hunter2" not in refused.error_message
    assert not desk.image.configs.get((BROKER, "1"))


def test_that_only_dynamic_settings_of_brokers_are_changed() -> None:
    desk = Desk()
    fixed = desk.change(BROKER, "", ("num.partitions", SET, "5"))
    assert (
        fixed.error_code == ErrorCode.INVALID_CONFIG and "server.properties" in fixed.error_message
    )
    single = desk.change(BROKER, "", ("ssl.keystore.type", SET, "PEM"))
    assert single.error_code == ErrorCode.INVALID_CONFIG
    assert desk.change(BROKER, "", ("min.insync.replicas", SET, "2")).error_code == 0
    assert desk.config.topic("t", "min.insync.replicas") == 2
    assert desk.change(BROKER, "1", ("min.insync.replicas", SET, "1")).error_code == 0
    assert desk.config.broker("min.insync.replicas") == 1
    everywhere = desk.describe(BROKER, "").configs
    assert [(c.name, c.value, c.config_source) for c in everywhere] == [
        ("min.insync.replicas", "2", 3)
    ]


def test_that_alter_configs_replaces_all_settings_of_a_resource() -> None:
    desk = Desk()
    desk.change(TOPIC, "t", ("retention.ms", SET, "5"), ("segment.ms", SET, "6"))
    resource = k33.AlterConfigsResource(TOPIC, "t", [k33.AlterableConfig("segment.ms", "7")])
    assert desk.ask(k33.AlterConfigsRequest([resource]), 2).responses[0].error_code == 0
    assert desk.image.configs[TOPIC, "t"] == {"segment.ms": "7"}


def test_that_a_broker_describes_all_its_settings_and_no_secret() -> None:
    desk = Desk("cluster.secret=S\nlog.retention.hours=2\nnum.partitions=4")
    found = {c.name: c for c in desk.describe(BROKER, "1").configs}
    assert set(found) == set(OPTIONS)
    assert found["cluster.secret"].value is None and found["cluster.secret"].is_sensitive
    assert (found["num.partitions"].value, found["num.partitions"].config_source) == ("4", 4)
    assert found["num.partitions"].read_only and not found["log.retention.ms"].read_only
    assert "no effect" in found["num.network.threads"].documentation
    assert "S" not in [s.value for s in found["cluster.secret"].synonyms]
    for version in range(1, 5):
        assert len(desk.describe(BROKER, "1", version=version).configs) == len(OPTIONS)
    assert desk.describe(BROKER, "2").error_code == ErrorCode.INVALID_REQUEST
    assert desk.describe(TOPIC, "gone").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert desk.describe(32, "g").error_code == ErrorCode.INVALID_REQUEST
