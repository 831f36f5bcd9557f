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
    0: Api("k00_produce", 0, 13),
    1: Api("k01_fetch", 4, 18),
    2: Api("k02_list_offsets", 1, 11),
    3: Api("k03_metadata", 0, 13),
    8: Api("k08_offset_commit", 2, 10),
    9: Api("k09_offset_fetch", 1, 10),
    10: Api("k10_find_coordinator", 0, 6),
    11: Api("k11_join_group", 0, 9),
    12: Api("k12_heartbeat", 0, 4),
    13: Api("k13_leave_group", 0, 5),
    14: Api("k14_sync_group", 0, 5),
    15: Api("k15_describe_groups", 0, 6),
    16: Api("k16_list_groups", 0, 5),
    18: Api("k18_api_versions", 0, 4),
    19: Api("k19_create_topics", 2, 7, controller=True),
    20: Api("k20_delete_topics", 1, 6, controller=True),
    21: Api("k21_delete_records", 0, 2),
    22: Api("k22_init_producer_id", 0, 5),
    23: Api("k23_offset_for_leader_epoch", 2, 4),
    32: Api("k32_describe_configs", 1, 4),
    33: Api("k33_alter_configs", 0, 2, controller=True),
    35: Api("k35_describe_log_dirs", 1, 4),
    37: Api("k37_create_partitions", 0, 3, controller=True),
    42: Api("k42_delete_groups", 0, 2),
    43: Api("k43_elect_leaders", 0, 2, controller=True),
    44: Api("k44_incremental_alter_configs", 0, 1, controller=True),
    47: Api("k47_offset_delete", 0, 0),
    52: Api("k52_vote", 0, 2, between_brokers=True),
    53: Api("k53_begin_quorum_epoch", 0, 1, between_brokers=True),
    54: Api("k54_end_quorum_epoch", 0, 1, between_brokers=True),
    55: Api("k55_describe_quorum", 0, 2, controller=True),
    56: Api("k56_alter_partition", 2, 3, between_brokers=True, controller=True),
    60: Api("k60_describe_cluster", 0, 2),
    62: Api("k62_broker_registration", 0, 4, between_brokers=True, controller=True),
    63: Api("k63_broker_heartbeat", 0, 1, between_brokers=True, controller=True),
    67: Api("k67_allocate_producer_ids", 0, 0, between_brokers=True, controller=True),
}


@cache
def handler(api_key: int) -> Handler:
    """The function that handles this api; its module is imported on first use."""
    found: Handler = import_module(f"embedded_broker.core.api.{TABLE[api_key].module}").handle
    return found
