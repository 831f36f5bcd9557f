"""What a consumer group promises (C9): one owner of a partition in a generation, and committed
offsets that no earlier generation changes and nothing takes back."""

from __future__ import annotations

from embedded_broker.simulator.world import Violation

TopicPartition = tuple[str, int]


class GroupChecks:
    """Called by the members with what they sent and received."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self._generations: dict[str, int] = {}
        self._owners: dict[tuple[str, int, TopicPartition], str] = {}
        self._commit_floor: dict[tuple[str, TopicPartition], int] = {}
        self._commit_tries: dict[tuple[str, TopicPartition], set[int]] = {}
        self._committed_in: dict[tuple[str, TopicPartition], int] = {}

    def joined(self, group: str, generation: int, member: str) -> None:
        """A member joined a generation."""
        self._generations[group] = max(generation, self._generations.get(group, 0))

    def generation(self, group: str) -> int:
        """The newest generation of a group that a member joined."""
        return self._generations.get(group, 0)

    def assigned(
        self, group: str, generation: int, member: str, partitions: list[TopicPartition]
    ) -> None:
        """C9: in one generation a partition has one owner. A static member is identified by its
        instance id, because its member id changes. An empty group without offsets is removed, and
        begins with generation 1 again."""
        floors = self._commit_floor.items()
        if not any(known == group and offset >= 0 for (known, _), offset in floors):
            return
        for partition in partitions:
            owner = self._owners.setdefault((group, generation, partition), member)
            if owner != member and self.strict:
                raise Violation(
                    "C9",
                    f"{group} generation {generation}: {owner} and {member} both own {partition}",
                )

    def committing(
        self, group: str, generation: int, partition: TopicPartition, offset: int
    ) -> int:
        """A commit is sent; returns the newest generation with an accepted commit so far."""
        self._commit_tries.setdefault((group, partition), {-1}).add(offset)
        return self._committed_in.get((group, partition), -1)

    def committed(
        self, group: str, generation: int, partition: TopicPartition, offset: int, newest: int
    ) -> None:
        """C9: a commit was accepted, which must not happen if it was sent after one of a newer
        generation (``newest``) had been accepted."""
        key = (group, partition)
        if generation < newest and self.strict:
            raise Violation(
                "C9",
                f"{group}: {partition} was committed in generation {newest}, then in {generation}",
            )
        self._committed_in[key] = max(generation, self._committed_in.get(key, -1))
        self._commit_floor[key] = max(offset, self._commit_floor.get(key, -1))

    def commit_floor(self, group: str, partition: TopicPartition) -> int:
        """Return an offset that the committed offset can never fall below, or -1."""
        return self._commit_floor.get((group, partition), -1)

    def offset_fetched(
        self, group: str, partition: TopicPartition, offset: int, floor: int
    ) -> None:
        """C9: the committed offset is one that a member committed, and never goes back."""
        tries = self._commit_tries.get((group, partition), {-1})
        if offset not in tries and self.strict:
            raise Violation(
                "C9", f"{group}: {partition} has offset {offset}, which nobody committed"
            )
        if offset < floor and self.strict:
            raise Violation(
                "C9", f"{group}: {partition} is at {offset}, but {floor} was committed before"
            )
        self._commit_floor[group, partition] = max(
            offset, self._commit_floor.get((group, partition), -1)
        )
