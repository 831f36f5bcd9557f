"""The requests that this broker speaks: one file per api key, and the table of versions that
ApiVersions offers.

A handler module has ``handle(broker, now_ms, event) -> None``; it answers through
``broker.outbox`` now or later. The version ranges are Kafka 4.3's for what is built here; Produce
0-2 is offered though refused, because librdkafka before 2.11.1 reads compression support from it
(KAFKA-18659).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from kafka_protocol.api_keys import ApiKey

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived

Handler = Callable[["Broker", int, "RequestReceived"], None]


@dataclass(frozen=True, slots=True)
class Api:
    """``between_brokers``: only a connection that proved to be a broker may send it (and it is
    not offered to clients); ``controller``: carried out by the active controller, forwarded to it
    by any other broker."""

    module: str
    min_version: int
    max_version: int
    between_brokers: bool = False
    controller: bool = False


TABLE: dict[int, Api] = {
    ApiKey.PRODUCE: Api("k00_produce", 0, 13),
    ApiKey.FETCH: Api("k01_fetch", 4, 18),
    ApiKey.LIST_OFFSETS: Api("k02_list_offsets", 1, 11),
    ApiKey.METADATA: Api("k03_metadata", 0, 13),
    ApiKey.OFFSET_COMMIT: Api("k08_offset_commit", 2, 10),
    ApiKey.OFFSET_FETCH: Api("k09_offset_fetch", 1, 10),
    ApiKey.FIND_COORDINATOR: Api("k10_find_coordinator", 0, 6),
    ApiKey.JOIN_GROUP: Api("k11_join_group", 0, 9),
    ApiKey.HEARTBEAT: Api("k12_heartbeat", 0, 4),
    ApiKey.LEAVE_GROUP: Api("k13_leave_group", 0, 5),
    ApiKey.SYNC_GROUP: Api("k14_sync_group", 0, 5),
    ApiKey.DESCRIBE_GROUPS: Api("k15_describe_groups", 0, 6),
    ApiKey.LIST_GROUPS: Api("k16_list_groups", 0, 5),
    ApiKey.API_VERSIONS: Api("k18_api_versions", 0, 4),
    ApiKey.CREATE_TOPICS: Api("k19_create_topics", 2, 7, controller=True),
    ApiKey.DELETE_TOPICS: Api("k20_delete_topics", 1, 6, controller=True),
    ApiKey.DELETE_RECORDS: Api("k21_delete_records", 0, 2),
    ApiKey.INIT_PRODUCER_ID: Api("k22_init_producer_id", 0, 5),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: Api("k23_offset_for_leader_epoch", 2, 4),
    ApiKey.DESCRIBE_CONFIGS: Api("k32_describe_configs", 1, 4),
    ApiKey.ALTER_CONFIGS: Api("k33_alter_configs", 0, 2, controller=True),
    ApiKey.DESCRIBE_LOG_DIRS: Api("k35_describe_log_dirs", 1, 4),
    ApiKey.CREATE_PARTITIONS: Api("k37_create_partitions", 0, 3, controller=True),
    ApiKey.DELETE_GROUPS: Api("k42_delete_groups", 0, 2),
    ApiKey.ELECT_LEADERS: Api("k43_elect_leaders", 0, 2, controller=True),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: Api("k44_incremental_alter_configs", 0, 1, controller=True),
    ApiKey.OFFSET_DELETE: Api("k47_offset_delete", 0, 0),
    ApiKey.VOTE: Api("k52_vote", 0, 2, between_brokers=True),
    ApiKey.BEGIN_QUORUM_EPOCH: Api("k53_begin_quorum_epoch", 0, 1, between_brokers=True),
    ApiKey.END_QUORUM_EPOCH: Api("k54_end_quorum_epoch", 0, 1, between_brokers=True),
    ApiKey.DESCRIBE_QUORUM: Api("k55_describe_quorum", 0, 2, controller=True),
    ApiKey.ALTER_PARTITION: Api("k56_alter_partition", 2, 3, between_brokers=True, controller=True),
    ApiKey.DESCRIBE_CLUSTER: Api("k60_describe_cluster", 0, 2),
    ApiKey.BROKER_REGISTRATION: Api(
        "k62_broker_registration", 0, 4, between_brokers=True, controller=True
    ),
    ApiKey.BROKER_HEARTBEAT: Api(
        "k63_broker_heartbeat", 0, 1, between_brokers=True, controller=True
    ),
    ApiKey.ALLOCATE_PRODUCER_IDS: Api(
        "k67_allocate_producer_ids", 0, 0, between_brokers=True, controller=True
    ),
}


@cache
def handler(api_key: int) -> Handler:
    """The function that handles this api; its module is imported on first use."""
    found: Handler = import_module(f"embedded_broker.core.api.{TABLE[api_key].module}").handle
    return found
