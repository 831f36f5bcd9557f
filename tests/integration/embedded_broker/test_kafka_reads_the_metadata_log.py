"""Kafka's own dump tool on a metadata log as this program writes it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_broker.core.metadata.records import LeaderChangeMessage, Voter, encode_record
from embedded_broker.core.quorum.log import LEADER_CHANGE_KEY
from kafka_protocol.codec import encode
from kafka_protocol.records.batch import CONTROL
from kafka_protocol.records.build import NewRecord, build
from tests.unit.embedded_broker.metadata_samples import SAMPLES


@pytest.mark.real_kafka
def test_that_kafkas_dump_tool_reads_every_metadata_record(
    tmp_path: Path, kafka_tool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    change = LeaderChangeMessage(
        leader_id=1, voters=[Voter(1), Voter(2)], granting_voters=[Voter(1)]
    )
    now = 1_700_000_000_000
    data = build(
        [NewRecord(LEADER_CHANGE_KEY, bytes(encode(change, 0)), now)],
        attributes=CONTROL,
        leader_epoch=1,
    )
    values = [NewRecord(None, bytes(encode_record(record)), now) for record, _ in SAMPLES]
    data += build(values, base_offset=1, leader_epoch=1)
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(data)
    done = kafka_tool("kafka-dump-log", "--cluster-metadata-decoder", "--files", str(path))
    assert done.returncode == 0, done.stderr
    assert 'LeaderChange: {"version":0,"leaderId":1' in done.stdout
    assert re.findall(r'"type":"([A-Z_]+)"', done.stdout) == [name for _, name in SAMPLES]
    assert done.stdout.count("isvalid: true") == 2
    for piece in (
        '"featureLevel":25',
        '"host":"h","port":9092,"securityProtocol":0',
        '"value":null',
        '"isr":[],"leader":-1,"leaderRecoveryState":1,'
        '"eligibleLeaderReplicas":[1,2],"lastKnownElr":[1]',
        '"replicas":[1,3],"removingReplicas":[2],"addingReplicas":[3]',
        '"nextProducerId":1000',
    ):
        assert piece in done.stdout
