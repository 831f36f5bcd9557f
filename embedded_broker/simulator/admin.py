"""A simulated administrator: topics, partitions, leaders and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_broker.simulator.client import SimClient
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from kafka_protocol.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from kafka_protocol.messages.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from kafka_protocol.messages.k43_elect_leaders import ElectLeadersRequest
from kafka_protocol.messages.k44_incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

TOPIC_RESOURCE, SET = 2, 0
"""A resource type and an operation of IncrementalAlterConfigs."""
CHANGED_TOPIC = "data"
CHANGES = {
    "segment.bytes": (300, 1_000, 100_000),
    "max.message.bytes": (100_000, 1_000_000),
    "retention.ms": (86_400_000, 604_800_000),
}
"""Settings that are changed, and their values: none that would delete a record of a run."""
LATE_MS = 10_000
"""A broker forwards a request again when no answer came: the first may still arrive, and delete a
topic of the same name that was created meanwhile. So may Kafka's."""


class Admin:
    """Creates and deletes topics, adds partitions, elects preferred leaders; remembers the
    outcomes."""

    def __init__(self, client: SimClient, replication: int) -> None:
        self.client, self.replication = client, replication
        self.number = 0
        self.exists: dict[str, bool | None] = {}
        """Whether a topic must exist in the end; None when the last outcome is unknown."""
        self.gone_ms: dict[str, int] = {}
        """When a topic's deletion was answered."""
        self.busy = False
        self.settings: dict[str, int | None] = {}
        """What settings of CHANGED_TOPIC must be in the end; None when an outcome is unknown."""
        self.late_ms: dict[str, int] = {}
        """By setting: when a change got no answer."""

    def start(self) -> None:
        """Begin to change topics at random times."""
        self.client.later(self.client.rng.randint(300, 2_000), self._act)

    def create(
        self, name: str, partitions: int, then: Any, configs: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic, retrying until it exists, then call ``then``."""
        settings = [CreatableTopicConfig(*entry) for entry in (configs or {}).items()]
        topic = CreatableTopic(name, partitions, self.replication, configs=settings)
        request = CreateTopicsRequest([topic], timeout_ms=3_000)

        def done(response: Any, reason: str) -> None:
            code = (
                ErrorCode.NETWORK_EXCEPTION if response is None else response.topics[0].error_code
            )
            if code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                then()
            else:
                self.client.later(100, self.create, name, partitions, then, configs)

        self.client.call(self.client.any_broker(), request, 7, 4_000, done)

    def _act(self) -> None:
        self.client.later(self.client.rng.randint(300, 2_500), self._act)
        if self.busy:
            return
        choice = self.client.rng.random()
        alive = [name for name, exists in sorted(self.exists.items()) if exists]
        if choice < 0.2:
            self._change_setting()
        elif choice < 0.3:
            self.client.call(
                self.client.any_broker(),
                ElectLeadersRequest(0, None, 2_000),
                2,
                3_000,
                lambda r, why: None,
            )
        elif alive and choice < 0.6:
            self._delete(self.client.rng.choice(alive))
        elif alive and choice < 0.7:
            name = self.client.rng.choice(alive)
            more = CreatePartitionsRequest([CreatePartitionsTopic(name, 4, None)], timeout_ms=2_000)
            self.client.call(self.client.any_broker(), more, 3, 3_000, lambda r, why: None)
        else:
            self._create()

    def _change_setting(self) -> None:
        self.busy = True
        name = self.client.rng.choice(sorted(CHANGES))
        value = self.client.rng.choice(CHANGES[name])
        self.settings[name] = None
        change = AlterConfigsResource(
            TOPIC_RESOURCE, CHANGED_TOPIC, [AlterableConfig(name, SET, str(value))]
        )

        def done(response: Any, reason: str) -> None:
            self.busy = False
            code = None if response is None else response.responses[0].error_code
            self.client.log("info" if response is None else "ok", "alter", [name, value, code])
            if response is None:
                self.late_ms[name] = self.client.world.now_ms
            elif code == ErrorCode.NONE and self._is_settled(name):
                self.settings[name] = value

        request = IncrementalAlterConfigsRequest([change])
        self.client.call(self.client.any_broker(), request, 1, 3_000, done)

    def _is_settled(self, name: str) -> bool:
        """Whether no change of a setting without an answer may still arrive."""
        return self.late_ms.get(name, -LATE_MS) + LATE_MS < self.client.world.now_ms

    def _create(self) -> None:
        now_ms = self.client.world.now_ms
        deleted = [
            name
            for name, exists in sorted(self.exists.items())
            if exists is False and self.gone_ms.get(name, 0) + LATE_MS < now_ms
        ]
        if deleted and self.client.rng.random() < 0.5:
            name = self.client.rng.choice(deleted)
        else:
            self.number += 1
            name = f"churn-{self.number}"
        self.busy = True
        before, self.exists[name] = self.exists.get(name, False), None
        topic = CreatableTopic(name, self.client.rng.randint(1, 3), self.replication)

        def done(response: Any, reason: str) -> None:
            self.busy = False
            code = None if response is None else response.topics[0].error_code
            self.client.log("info" if response is None else "ok", "create", [name, code])
            if code == ErrorCode.NONE:
                self.exists[name] = True
            elif code == ErrorCode.INVALID_REPLICATION_FACTOR:
                self.exists[name] = before

        self.client.call(
            self.client.any_broker(), CreateTopicsRequest([topic], timeout_ms=2_000), 7, 3_000, done
        )

    def _delete(self, name: str) -> None:
        self.busy = True
        self.exists[name] = None

        def done(response: Any, reason: str) -> None:
            self.busy = False
            code = None if response is None else response.responses[0].error_code
            self.client.log("info" if response is None else "ok", "delete", [name, code])
            if code == ErrorCode.NONE:  # an unknown topic may be one that a broker missed
                self.exists[name] = False
                self.gone_ms[name] = self.client.world.now_ms

        request = DeleteTopicsRequest(topics=[DeleteTopicState(name)], timeout_ms=2_000)
        self.client.call(self.client.any_broker(), request, 6, 3_000, done)
