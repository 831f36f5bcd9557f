"""Topics that brokers write and clients do not."""

from __future__ import annotations

from uuid import UUID

METADATA_TOPIC = "__cluster_metadata"
METADATA_TOPIC_ID = UUID(int=1)
"""Kafka's reserved id of the metadata log."""
OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
SHARE_GROUP_TOPIC = "__share_group_state"

INTERNAL_TOPICS = frozenset((OFFSETS_TOPIC, TRANSACTIONS_TOPIC, SHARE_GROUP_TOPIC))
"""Marked internal in Metadata responses."""
NOT_WRITABLE_BY_CLIENTS = frozenset((OFFSETS_TOPIC, TRANSACTIONS_TOPIC, METADATA_TOPIC))
"""Produce to these is refused with INVALID_TOPIC_EXCEPTION."""
