"""The function that handles each API, bound to the machines that it needs.

Each binder imports its function when it is first called: a broker that serves only some
APIs does not load the messages of all (about a sixth of its import time).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from embedded_broker.core.api.slices import Handler
from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.coordinator.groups import Groups
from embedded_broker.core.environment import Environment
from embedded_broker.core.ports import ControllerCalls
from embedded_broker.core.quorum.quorum import Quorum
from embedded_broker.core.replication.replicas import Replicas
from kafka_protocol.api_keys import ApiKey


class Machines(NamedTuple):
    """The machines of one node; each handler gets only those that it needs."""

    env: Environment
    quorum: Quorum
    controller: Controller
    calls: ControllerCalls
    in_touch: Callable[[int], bool]
    """Whether the controller cannot have fenced this broker yet (now_ms)."""
    replicas: Replicas
    groups: Groups


Binder = Callable[[Machines], Handler]


# ---- data plane
def _produce(m: Machines) -> Handler:
    from embedded_broker.core.api.k00_produce import produce

    return partial(produce, m.replicas)


def _fetch(m: Machines) -> Handler:
    from embedded_broker.core.api.k01_fetch import fetch

    return partial(fetch, m.replicas, m.quorum)


def _list_offsets(m: Machines) -> Handler:
    from embedded_broker.core.api.k02_list_offsets import list_offsets

    return partial(list_offsets, m.replicas)


def _delete_records(m: Machines) -> Handler:
    from embedded_broker.core.api.k21_delete_records import delete_records

    return partial(delete_records, m.replicas)


def _init_producer_id(m: Machines) -> Handler:
    from embedded_broker.core.api.k22_init_producer_id import init_producer_id

    return partial(init_producer_id, m.replicas)


def _offset_for_leader_epoch(m: Machines) -> Handler:
    from embedded_broker.core.api.k23_offset_for_leader_epoch import offset_for_leader_epoch

    return partial(offset_for_leader_epoch, m.replicas)


def _describe_log_dirs(m: Machines) -> Handler:
    from embedded_broker.core.api.k35_describe_log_dirs import describe_log_dirs

    return partial(describe_log_dirs, m.replicas)


# ---- metadata and settings
def _metadata(m: Machines) -> Handler:
    from embedded_broker.core.api.k03_metadata import metadata

    return partial(metadata, m.env, m.quorum, m.calls)


def _api_versions(m: Machines) -> Handler:
    from embedded_broker.core.api.k18_api_versions import api_versions

    return partial(api_versions, m.env)


def _describe_configs(m: Machines) -> Handler:
    from embedded_broker.core.api.k32_describe_configs import describe_configs

    return partial(describe_configs, m.env)


def _describe_cluster(m: Machines) -> Handler:
    from embedded_broker.core.api.k60_describe_cluster import describe_cluster

    return partial(describe_cluster, m.env, m.quorum)


# ---- groups
def _offset_commit(m: Machines) -> Handler:
    from embedded_broker.core.api.k08_offset_commit import offset_commit

    return partial(offset_commit, m.groups)


def _offset_fetch(m: Machines) -> Handler:
    from embedded_broker.core.api.k09_offset_fetch import offset_fetch

    return partial(offset_fetch, m.groups, m.in_touch)


def _find_coordinator(m: Machines) -> Handler:
    from embedded_broker.core.api.k10_find_coordinator import find_coordinator

    return partial(find_coordinator, m.groups)


def _join_group(m: Machines) -> Handler:
    from embedded_broker.core.api.k11_join_group import join_group

    return partial(join_group, m.groups)


def _heartbeat(m: Machines) -> Handler:
    from embedded_broker.core.api.k12_heartbeat import heartbeat

    return partial(heartbeat, m.groups)


def _leave_group(m: Machines) -> Handler:
    from embedded_broker.core.api.k13_leave_group import leave_group

    return partial(leave_group, m.groups)


def _sync_group(m: Machines) -> Handler:
    from embedded_broker.core.api.k14_sync_group import sync_group

    return partial(sync_group, m.groups)


def _describe_groups(m: Machines) -> Handler:
    from embedded_broker.core.api.k15_describe_groups import describe_groups

    return partial(describe_groups, m.groups)


def _list_groups(m: Machines) -> Handler:
    from embedded_broker.core.api.k16_list_groups import list_groups

    return partial(list_groups, m.groups)


def _delete_groups(m: Machines) -> Handler:
    from embedded_broker.core.api.k42_delete_groups import delete_groups

    return partial(delete_groups, m.groups)


def _offset_delete(m: Machines) -> Handler:
    from embedded_broker.core.api.k47_offset_delete import offset_delete

    return partial(offset_delete, m.groups)


# ---- the active controller
def _create_topics(m: Machines) -> Handler:
    from embedded_broker.core.controller.topics import create_topics

    return partial(create_topics, m.controller)


def _delete_topics(m: Machines) -> Handler:
    from embedded_broker.core.controller.topics import delete_topics

    return partial(delete_topics, m.controller)


def _create_partitions(m: Machines) -> Handler:
    from embedded_broker.core.controller.topics import create_partitions

    return partial(create_partitions, m.controller)


def _alter_configs(m: Machines) -> Handler:
    from embedded_broker.core.controller.configs import alter_configs

    return partial(alter_configs, m.controller)


def _elect_leaders(m: Machines) -> Handler:
    from embedded_broker.core.controller.elect_leaders import elect_leaders

    return partial(elect_leaders, m.controller)


def _alter_partition(m: Machines) -> Handler:
    from embedded_broker.core.controller.alter_partition import alter_partition

    return partial(alter_partition, m.controller)


def _broker_registration(m: Machines) -> Handler:
    from embedded_broker.core.controller.brokers import register

    return partial(register, m.controller)


def _broker_heartbeat(m: Machines) -> Handler:
    from embedded_broker.core.controller.brokers import heartbeat

    return partial(heartbeat, m.controller)


def _allocate_producer_ids(m: Machines) -> Handler:
    from embedded_broker.core.controller.producer_ids import allocate_producer_ids

    return partial(allocate_producer_ids, m.controller)


# ---- the quorum
def _vote(m: Machines) -> Handler:
    from embedded_broker.core.quorum.requests import vote

    return partial(vote, m.quorum)


def _begin_quorum_epoch(m: Machines) -> Handler:
    from embedded_broker.core.quorum.requests import begin_quorum_epoch

    return partial(begin_quorum_epoch, m.quorum)


def _end_quorum_epoch(m: Machines) -> Handler:
    from embedded_broker.core.quorum.requests import end_quorum_epoch

    return partial(end_quorum_epoch, m.quorum)


def _describe_quorum(m: Machines) -> Handler:
    from embedded_broker.core.quorum.describe import describe_quorum

    return partial(describe_quorum, m.quorum)


BINDERS: dict[int, Binder] = {
    ApiKey.PRODUCE: _produce,
    ApiKey.FETCH: _fetch,
    ApiKey.LIST_OFFSETS: _list_offsets,
    ApiKey.METADATA: _metadata,
    ApiKey.OFFSET_COMMIT: _offset_commit,
    ApiKey.OFFSET_FETCH: _offset_fetch,
    ApiKey.FIND_COORDINATOR: _find_coordinator,
    ApiKey.JOIN_GROUP: _join_group,
    ApiKey.HEARTBEAT: _heartbeat,
    ApiKey.LEAVE_GROUP: _leave_group,
    ApiKey.SYNC_GROUP: _sync_group,
    ApiKey.DESCRIBE_GROUPS: _describe_groups,
    ApiKey.LIST_GROUPS: _list_groups,
    ApiKey.API_VERSIONS: _api_versions,
    ApiKey.CREATE_TOPICS: _create_topics,
    ApiKey.DELETE_TOPICS: _delete_topics,
    ApiKey.DELETE_RECORDS: _delete_records,
    ApiKey.INIT_PRODUCER_ID: _init_producer_id,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: _offset_for_leader_epoch,
    ApiKey.DESCRIBE_CONFIGS: _describe_configs,
    ApiKey.ALTER_CONFIGS: _alter_configs,
    ApiKey.DESCRIBE_LOG_DIRS: _describe_log_dirs,
    ApiKey.CREATE_PARTITIONS: _create_partitions,
    ApiKey.DELETE_GROUPS: _delete_groups,
    ApiKey.ELECT_LEADERS: _elect_leaders,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: _alter_configs,
    ApiKey.OFFSET_DELETE: _offset_delete,
    ApiKey.VOTE: _vote,
    ApiKey.BEGIN_QUORUM_EPOCH: _begin_quorum_epoch,
    ApiKey.END_QUORUM_EPOCH: _end_quorum_epoch,
    ApiKey.DESCRIBE_QUORUM: _describe_quorum,
    ApiKey.ALTER_PARTITION: _alter_partition,
    ApiKey.DESCRIBE_CLUSTER: _describe_cluster,
    ApiKey.BROKER_REGISTRATION: _broker_registration,
    ApiKey.BROKER_HEARTBEAT: _broker_heartbeat,
    ApiKey.ALLOCATE_PRODUCER_IDS: _allocate_producer_ids,
}
"""Has the keys of ``versions.TABLE`` (a unit test compares them)."""
