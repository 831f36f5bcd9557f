"""A broker process under bad input, with a healthy client beside it; and the requests for it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

from embedded_broker import LocalCluster
from kafka_protocol.messages.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from kafka_protocol.records.batch import CRC_START, HEADER
from kafka_protocol.records.build import NewRecord, build
from kafka_protocol.records.checksum import crc32c
from tests.unit.embedded_broker.shell.fakes import Client

TIMESTAMP_MS = 1_700_000_000_000
HEALTHY_PERIOD_S = 0.02
HEADER_FIELDS = (
    "base_offset length epoch magic crc attributes delta first_ts max_ts pid pepoch sequence count"
).split()


class Live:
    """A cluster of one broker process, and a healthy client that produces all the time."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        status = cluster.status(1)
        self.pid, self.address = status.pid, (status.host, status.port)
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce)
        self._thread.start()

    def connect(self) -> Client:
        return Client(socket.create_connection(self.address, timeout=10))

    def _produce(self) -> None:
        client = self.connect()
        while not self._stop.wait(HEALTHY_PERIOD_S):
            began = time.monotonic()
            try:
                code = produced(client, batch(), topic="healthy")
            except Exception as e:  # whatever it is, the fixture fails with it
                self.failures.append(repr(e))
                return
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            if code:
                self.failures.append(str(code))
        client.close()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(15)

    def rss_bytes(self) -> int:
        usage = self.cluster.usage(1)
        assert usage is not None, "the broker died"
        return usage.rss_bytes

    def open_sockets(self) -> int:
        """Sockets of the broker process."""
        descriptors = Path(f"/proc/{self.pid}/fd").iterdir()
        return sum(1 for path in descriptors if "socket:" in str(path.readlink()))

    def wait_for_line(self, text: str) -> str:
        """Return the broker's log once it contains the text: a connection closes a moment before
        the line about it is written."""
        path = self.cluster.broker_directory(1) / "broker.log"
        deadline = time.monotonic() + 5
        while text not in path.read_text():
            assert time.monotonic() < deadline, text
            time.sleep(0.02)
        return path.read_text()


def batch(count: int = 1, value: bytes = b"v", **fields: int) -> bytearray:
    """A valid batch of ``count`` records."""
    return build([NewRecord(b"k", value, TIMESTAMP_MS + i) for i in range(count)], **fields)


def patched(data: bytearray, **fields: int) -> bytearray:
    """Change header fields of a batch and make its checksum right again."""
    values = dict(zip(HEADER_FIELDS, HEADER.unpack_from(data, 0), strict=True)) | fields
    HEADER.pack_into(data, 0, *values.values())
    data[17:21] = crc32c(memoryview(data)[CRC_START:]).to_bytes(4, "big")
    return data


def produce(data: Any, topic: str = "t", partition: int = 0, acks: int = -1) -> ProduceRequest:
    parts = [PartitionProduceData(partition, data)]
    return ProduceRequest(
        acks=acks, timeout_ms=5000, topic_data=[TopicProduceData(topic, partition_data=parts)]
    )


def produced(client: Client, data: Any, version: int = 9, **where: Any) -> int:
    """Produce and return the error code."""
    response = client.ask(produce(data, **where), version)
    code: int = response.responses[0].partition_responses[0].error_code
    return code
