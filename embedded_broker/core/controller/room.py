"""Whether the brokers have room for more partitions: each keeps its logs open, and the system
limits the files of a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from embedded_broker.core.controller.controller import Controller
from embedded_broker.core.controller.refusals import Refused
from kafka_protocol.errors import ErrorCode


class Room:
    """What is left for one request. The limit is this process's own; the brokers of a cluster run
    on one machine."""

    def __init__(self, controller: Controller, more: int) -> None:
        """``more`` is the most that the request may create."""
        image = controller.image
        self._most = controller.env.disk.logs_most
        self._taken: Counter[int] | None = None
        # Counted only where it could matter: a large cluster has hundreds of thousands of replicas.
        if sum(len(topic.partitions) for topic in image.topics.values()) + more > self._most:
            self._taken = Counter(
                replica
                for topic in image.topics.values()
                for partition in topic.partitions.values()
                for replica in partition.replicas
            )

    def take(self, placement: Iterable[Iterable[int]]) -> None:
        """Count these replicas, by partition.

        Raises:
            Refused (POLICY_VIOLATION): a broker would have more logs than it can keep open.
        """
        if self._taken is None:
            return
        wanted = self._taken + Counter(replica for replicas in placement for replica in replicas)
        fullest, count = max(sorted(wanted.items()), key=lambda entry: entry[1], default=(-1, 0))
        if count > self._most:
            raise Refused(
                ErrorCode.POLICY_VIOLATION,
                f"Too many partitions for broker {fullest}: {count}, and {self._most} at most with"
                " the files that the system lets it open. Raise the limit of open files (ulimit"
                " -n) and start the brokers again, or create fewer partitions.",
            )
        self._taken = wanted
