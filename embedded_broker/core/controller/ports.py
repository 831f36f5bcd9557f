"""Declare what the controller, the channel to it, and a broker's lifecycle need of the
metadata quorum.

``quorum.quorum.Quorum`` implements all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from embedded_broker.core.metadata.records import MetadataRecord
from kafka_protocol.fields import Buffer


class LeaderInfo(Protocol):
    """Who leads the quorum, and so is the active controller (or will be in a
    moment)."""

    @property
    def leader_id(self) -> int:
        """-1 when unknown."""

    @property
    def epoch(self) -> int:
        """The quorum epoch."""


class MajorityContact(Protocol):
    """Whether a leader of the quorum still leads, as far as it knows."""

    def majority_contact_ms(self, now_ms: int) -> int | None:
        """As leader, since when no majority of voters has fetched: another leader was elected
        later, if at all. None otherwise."""


class MetadataQuorum(LeaderInfo, MajorityContact, Protocol):
    """The replicated log that the active controller writes."""

    @property
    def is_leader(self) -> bool:
        """Return whether this node leads the quorum."""

    @property
    def high_watermark(self) -> int:
        """End of the committed records."""

    @property
    def end_offset(self) -> int:
        """End of this node's log: the offset of the next record."""

    @property
    def epoch_start_offset(self) -> int | None:
        """As leader, where the current epoch starts in the log; None otherwise."""

    @property
    def last_leader_id(self) -> int:
        """The leader that this node last heard from before it led itself; -1 for
        none."""

    @property
    def last_leader_contact_ms(self) -> int:
        """Monotonic time of its last response."""

    @property
    def last_leader_unreachable(self) -> bool:
        """Return whether that leader's connections broke rather than fell silent."""

    def applied_by(self, broker_id: int) -> int | None:
        """As leader, the metadata offset that a voter has applied; None when
        unknown."""

    def propose(
        self, now_ms: int, records: Sequence[MetadataRecord], values: Sequence[Buffer] = ()
    ) -> int:
        """Append records as one atomic batch; return the offset at which they are
        committed. ``values`` are the first of them, as they are encoded.

        Raises:
            NotLeader: nothing was appended.
        """


class VotingProcess(MajorityContact, Protocol):
    """This process as a voter: counted at its start, replaced in order at its end."""

    @property
    def taken_for_leader_since_ms(self) -> int:
        """Since when other voters have named this node as the quorum's leader, which it is not;
        -1 when they do not."""

    def begin_incarnation(self) -> int:
        """Count this process; return how many have run on this disk, this one included.

        Raises:
            StorageFailed
        """

    def stop(self, now_ms: int) -> None:
        """Resign, and let the next leader campaign at once."""
