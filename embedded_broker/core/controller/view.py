"""The cluster as the active controller sees it while it decides."""

from __future__ import annotations

from typing import NamedTuple

from embedded_broker.core.config import Config
from embedded_broker.core.metadata.image import MetadataImage
from embedded_broker.core.outbox import Outbox

MIN_ISR = "min.insync.replicas"
UNCLEAN = "unclean.leader.election.enable"


class ClusterView(NamedTuple):
    """The image that includes uncommitted proposals, with the settings effective in
    it."""

    image: MetadataImage
    config: Config
    outbox: Outbox
    """For notes about decisions."""

    def min_isr(self, topic: str) -> int:
        """The topic's effective min.insync.replicas."""
        return int(self.config.topic(topic, MIN_ISR))

    def unclean_elections(self, topic: str) -> bool:
        """The topic's effective unclean.leader.election.enable."""
        return bool(self.config.topic(topic, UNCLEAN))
