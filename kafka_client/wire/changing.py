"""Changes that go over the wire: settings, because confluent-kafka cannot name the cluster-wide
default of brokers, and elections, because its ``elect_leaders`` fails in Python before it sends
anything (2.16: its argument list is one short).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kafka_client.error_map import from_code
from kafka_client.model import ConfigChange, ConfigResource, TopicPartition
from kafka_client.wire.looking import code_of_top
from kafka_client.wire.messages import code_of
from kafka_client.wire.pool import Wire

ELECT_LEADERS, INCREMENTAL_ALTER_CONFIGS = 43, 44
ELECTION_NOT_NEEDED = 84
ELECTION_TIMEOUT_MS = 10_000
SET, DELETE = 0, 1


async def alter_configs(wire: Wire, changes: Sequence[ConfigChange], validate_only: bool) -> None:
    """One request for each broker's own settings, one for all others. Raises for the first
    resource that was refused; those of other requests may have been applied."""
    by_broker: dict[int | None, dict[ConfigResource, list[ConfigChange]]] = {}
    for change in changes:
        own = change.resource.kind == "broker" and change.resource.name.isdigit()
        target = int(change.resource.name) if own else None
        by_broker.setdefault(target, {}).setdefault(change.resource, []).append(change)
    for target, resources in by_broker.items():
        values = {
            "resources": [
                {
                    "resource_type": 2 if resource.kind == "topic" else 4,
                    "resource_name": resource.name,
                    "configs": [
                        {
                            "name": c.name,
                            "config_operation": DELETE if c.value is None else SET,
                            "value": c.value,
                        }
                        for c in part
                    ],
                }
                for resource, part in resources.items()
            ],
            "validate_only": validate_only,
        }
        if target is None:
            answer = await wire.ask_any(INCREMENTAL_ALTER_CONFIGS, values)
        else:
            answer = await wire.ask(target, INCREMENTAL_ALTER_CONFIGS, values)
        for result in answer.responses:
            if code_of(result):
                kind = "topic" if int(result.resource_type) == 2 else "broker"
                words = f"change settings of {kind} {result.resource_name or 'default'}"
                raise from_code(
                    code_of(result),
                    words,
                    subject=str(result.resource_name),
                    detail=result.error_message,
                )


async def elect_leaders(wire: Wire, partitions: Sequence[TopicPartition], unclean: bool) -> None:
    """Raises for the first partition that got no leader; that its leader was the wanted one
    already is no failure."""
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    values = {
        "election_type": 1 if unclean else 0,
        "topic_partitions": [{"topic": topic, "partitions": ids} for topic, ids in topics.items()],
        "timeout": timedelta(milliseconds=ELECTION_TIMEOUT_MS),
    }
    answer = await wire.ask_any(ELECT_LEADERS, values, ELECTION_TIMEOUT_MS / 1000 + 2)
    if code_of_top(answer):
        raise from_code(code_of_top(answer), "elect leaders")
    for result in answer.replica_election_results:
        for p in result.partition_result:
            if code_of(p) not in (0, ELECTION_NOT_NEEDED):
                subject = f"{result.topic}-{int(p.partition_id)}"
                raise from_code(
                    code_of(p),
                    f"elect a leader of {subject}",
                    subject=subject,
                    detail=p.error_message,
                )
