"""How large a cluster may say it is: above that the answer is refused, before anything is built
from it.

A hostile or broken broker can list a million topics in one frame. Decoding that is bounded by the
frame and by ``kafka_protocol.primitives.ITEMS_MAX``; what would follow (a snapshot, its
differences, rows of tables, a connection to each broker) is bounded here. The limits lie above
every cluster that Apache Kafka supports: KRaft is tested up to about 200,000 partitions.
"""

from __future__ import annotations

from kafka_client.errors import TooLarge
from kafka_protocol.messages.k03_metadata import MetadataResponse
from resources.wording import counted

BROKERS_MOST = 1_000
TOPICS_MOST = 100_000
PARTITIONS_MOST = 300_000
REPLICAS_MOST = 2_000_000
GROUPS_MOST = 100_000


def check_metadata(response: MetadataResponse) -> None:
    """Raises: TooLarge."""
    check(len(response.brokers), BROKERS_MOST, "broker")
    check(len(response.topics), TOPICS_MOST, "topic")
    check(sum(len(topic.partitions) for topic in response.topics), PARTITIONS_MOST, "partition")
    replicas = 0
    named = {broker.node_id for broker in response.brokers}
    for topic in response.topics:
        for p in topic.partitions:
            replicas += len(p.replica_nodes) + len(p.isr_nodes) + len(p.offline_replicas)
            check(replicas, REPLICAS_MOST, "replica")
            named.update(p.replica_nodes)
    check(len(named), BROKERS_MOST, "broker")  # replicas may lie on brokers that are not listed


def check(count: int, most: int, noun: str) -> None:
    """Raises: TooLarge, when the cluster lists more than ``most`` of something."""
    if count > most:
        raise TooLarge(
            f"The cluster's answer lists {counted(count, noun)}; Kafkarium reads {most:,} at most.",
            next_step="Check the address: this may not be the cluster that it should be.",
        )
