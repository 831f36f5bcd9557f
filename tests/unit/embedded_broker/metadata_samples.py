"""One of each metadata record, for the tests of the codec and for Kafka's own dump tool to read."""

from __future__ import annotations

from uuid import UUID

from embedded_broker.core.metadata.records import (
    BrokerEndpoint,
    BrokerFeature,
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
    UnregisterBrokerRecord,
)

ID = UUID(int=0x1234567890)

SAMPLES: list[tuple[MetadataRecord, str]] = [
    (FeatureLevelRecord("metadata.version", 25), "FEATURE_LEVEL_RECORD"),
    (
        RegisterBrokerRecord(
            broker_id=1,
            incarnation_id=ID,
            broker_epoch=2,
            end_points=[BrokerEndpoint("PLAINTEXT", "h", 9092, 0)],
            features=[BrokerFeature("metadata.version", 25, 25)],
            rack="r",
            log_dirs=[ID],
        ),
        "REGISTER_BROKER_RECORD",
    ),
    (BrokerRegistrationChangeRecord(1, 2, fenced=-1), "BROKER_REGISTRATION_CHANGE_RECORD"),
    (
        BrokerRegistrationChangeRecord(1, 2, in_controlled_shutdown=1),
        "BROKER_REGISTRATION_CHANGE_RECORD",
    ),
    (TopicRecord("t", ID), "TOPIC_RECORD"),
    (ConfigRecord(2, "t", "retention.ms", "5"), "CONFIG_RECORD"),
    (ConfigRecord(2, "t", "retention.ms", None), "CONFIG_RECORD"),
    (
        PartitionRecord(
            partition_id=0,
            topic_id=ID,
            replicas=[1, 2],
            isr=[1],
            leader=1,
            leader_epoch=0,
            partition_epoch=0,
            directories=[ID, ID],
            eligible_leader_replicas=[2],
            last_known_elr=[1],
        ),
        "PARTITION_RECORD",
    ),
    (
        PartitionChangeRecord(
            0,
            ID,
            isr=[],
            leader=-1,
            eligible_leader_replicas=[1, 2],
            last_known_elr=[1],
            leader_recovery_state=1,
        ),
        "PARTITION_CHANGE_RECORD",
    ),
    (
        PartitionChangeRecord(
            0, ID, replicas=[1, 3], removing_replicas=[2], adding_replicas=[3], directories=[ID, ID]
        ),
        "PARTITION_CHANGE_RECORD",
    ),
    (ProducerIdsRecord(1, 2, 1000), "PRODUCER_IDS_RECORD"),
    (RemoveTopicRecord(ID), "REMOVE_TOPIC_RECORD"),
    (UnregisterBrokerRecord(1, 2), "UNREGISTER_BROKER_RECORD"),
    (NoOpRecord(), "NO_OP_RECORD"),
]
