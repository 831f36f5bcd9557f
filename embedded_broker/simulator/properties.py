"""The server.properties of the simulated brokers."""

from __future__ import annotations

from typing import Any


def settings_text(node_id: int, brokers: int, overrides: dict[str, Any]) -> str:
    """Return the server.properties of one node of a simulated cluster; ``overrides`` add to it."""
    voters = ",".join(f"{n}@127.0.0.1:{19091 + n}" for n in range(1, brokers + 1))
    listener = f"PLAINTEXT://127.0.0.1:{19091 + node_id}"
    base = {
        "node.id": node_id,
        "cluster.id": "simulated",
        "controller.quorum.voters": voters,
        "listeners": listener,
        "log.dirs": f"/simulated/broker-{node_id}",
        "default.replication.factor": 3,
        "min.insync.replicas": 2,
        "offsets.topic.replication.factor": 3,
        "offsets.topic.num.partitions": 2,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "log.message.timestamp.after.max.ms": 2**63 - 1,
    }
    return "".join(f"{key}={value}\n" for key, value in (base | overrides).items())
