from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_broker.core.metadata.image import BROKER, TOPIC, MetadataDelta, MetadataImage
from embedded_broker.core.metadata.records import (
    BrokerEndpoint,
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    MetadataRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
    decode_record,
    encode_record,
)
from embedded_broker.core.metadata.replay import copy, replay
from kafka_protocol.codec import ProtocolError
from tests.unit.embedded_broker.metadata_samples import ID, SAMPLES


@pytest.mark.parametrize("record", [record for record, _ in SAMPLES])
def test_that_a_record_comes_back_as_it_was_written(record: MetadataRecord) -> None:
    assert decode_record(encode_record(record)) == record


def test_that_the_bytes_are_those_that_kafkas_dump_tool_has_read() -> None:
    assert (
        encode_record(ProducerIdsRecord(1, 2, 1000)).hex()
        == "010f0000000001000000000000000200000000000003e800"
    )
    assert encode_record(PartitionChangeRecord(0, ID, isr=[1], leader=1)).hex() == (
        "01050200000000000000000000000000000012345678900200050200000001010400000001"
    )


@pytest.mark.parametrize(
    "value", [b"\x00", b"\x02\x00\x00", b"\x01\x63\x00", b"\x01\x02\x09", b"\x01\x14\x00\x00\x00"]
)
def test_that_an_unknown_frame_record_or_version_is_refused(value: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_record(value)


@given(st.binary(max_size=60))
def test_that_noise_is_refused_or_read_but_never_more(noise: bytes) -> None:
    with suppress(ProtocolError):
        decode_record(noise)


def image(*records: MetadataRecord) -> tuple[MetadataImage, MetadataDelta]:
    replayed, delta = MetadataImage(), MetadataDelta()
    for record in records:
        replay(replayed, record, delta)
    return replayed, delta


TOPIC_T = (
    TopicRecord("t", ID),
    PartitionRecord(0, ID, [1, 2], [1, 2], leader=1, leader_epoch=0, partition_epoch=0),
)


def test_that_naming_a_leader_begins_a_leader_epoch_and_any_change_a_partition_epoch() -> None:
    replayed, delta = image(
        *TOPIC_T,
        PartitionChangeRecord(0, ID, isr=[1]),
        PartitionChangeRecord(0, ID, leader=2, isr=[2]),
        PartitionChangeRecord(0, ID, leader=2),
    )
    p = replayed.topics["t"].partitions[0]
    assert (p.leader, p.isr, p.leader_epoch, p.partition_epoch) == (2, (2,), 2, 3)
    assert delta.partitions == {("t", 0)}


def test_that_deleting_a_topic_removes_its_settings_and_reports_its_last_state() -> None:
    replayed, delta = image(
        *TOPIC_T, ConfigRecord(TOPIC, "t", "retention.ms", "5"), RemoveTopicRecord(ID)
    )
    assert not replayed.topics and not replayed.topic_names and not replayed.configs
    assert [t.name for t in delta.deleted_topics] == ["t"]
    assert sorted(delta.deleted_topics[0].partitions) == [0]


def test_that_settings_are_set_changed_and_removed() -> None:
    replayed, delta = image(
        ConfigRecord(BROKER, "", "a", "1"),
        ConfigRecord(BROKER, "", "b", "2"),
        ConfigRecord(BROKER, "", "a", None),
        ConfigRecord(BROKER, "1", "c", None),
    )
    assert replayed.configs == {(BROKER, ""): {"b": "2"}}
    assert delta.configs == {(BROKER, ""), (BROKER, "1")}


def test_that_a_registration_is_a_new_incarnation_that_is_fenced_until_unfenced() -> None:
    replayed, delta = image(
        RegisterBrokerRecord(
            3, broker_epoch=7, end_points=[BrokerEndpoint("P", "h", 1, 0)], rack="r", log_dirs=[ID]
        ),
        BrokerRegistrationChangeRecord(3, 7, fenced=-1),
    )
    assert replayed.alive(3) and replayed.eligible(3)
    replay(replayed, BrokerRegistrationChangeRecord(3, 7, in_controlled_shutdown=1), delta)
    assert replayed.alive(3) and not replayed.eligible(3)
    replay(replayed, RegisterBrokerRecord(3, broker_epoch=9), delta)
    assert not replayed.alive(3) and not replayed.brokers[3].in_controlled_shutdown
    with pytest.raises(AssertionError):
        replay(replayed, BrokerRegistrationChangeRecord(3, 7, fenced=-1), delta)


def test_that_a_copy_goes_its_own_way() -> None:
    replayed, delta = image(*TOPIC_T, ConfigRecord(TOPIC, "t", "retention.ms", "5"))
    ahead = copy(replayed)
    assert ahead == replayed
    replay(ahead, PartitionChangeRecord(0, ID, leader=-1), delta)
    replay(ahead, ConfigRecord(TOPIC, "t", "retention.ms", "6"), delta)
    assert replayed.topics["t"].partitions[0].leader == 1
    assert replayed.configs == {(TOPIC, "t"): {"retention.ms": "5"}}
