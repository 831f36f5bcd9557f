"""Leader elections: ElectLeaders.

confluent-kafka's ``elect_leaders`` fails in Python before it sends anything (2.16: its
argument list is one short).
"""

from __future__ import annotations

from collections.abc import Sequence

from kafka_client.error_map import from_code
from kafka_client.model import TopicPartition
from kafka_client.wire.pool import ConnectionPool
from kafka_protocol.constants import ElectionType
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k43_elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitions,
)

ELECTION_TIMEOUT_MS = 10_000
LED = (ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED)


async def elect_leaders(
    pool: ConnectionPool, partitions: Sequence[TopicPartition], unclean: bool
) -> None:
    """See ``api.ClusterWriter``. Raises: ClientError for the first partition without a
    leader; it is no failure that the wanted replica leads already."""
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    request = ElectLeadersRequest(
        ElectionType.UNCLEAN if unclean else ElectionType.PREFERRED,
        [TopicPartitions(topic, ids) for topic, ids in topics.items()],
        ELECTION_TIMEOUT_MS,
    )
    timeout_s = ELECTION_TIMEOUT_MS / 1000 + 2
    response: ElectLeadersResponse = await pool.request_any(request, timeout_s, timeout_s)
    if response.error_code:
        raise from_code(response.error_code, "elect leaders")
    for result in response.replica_election_results:
        for p in result.partition_result:
            if p.error_code not in LED:
                subject = f"{result.topic}-{p.partition_id}"
                raise from_code(
                    p.error_code,
                    f"elect a leader of {subject}",
                    subject=subject,
                    detail=p.error_message,
                )
