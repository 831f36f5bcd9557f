"""Produce (0): append record batches, answer by ``acks``.

* Versions 0 to 2 are offered but not spoken (see the table); the shell closes the connection.
* acks=0 has no answer; when something is wrong the connection is closed, which is all that such a
  client can notice.
* acks=all: refused before the append while too few replicas are in sync; answered when the high
  watermark has passed.
* A repeated batch of an idempotent producer is answered with its first offset, when that is
  committed.
* Transactions are not offered yet: a transactional batch is INVALID_TXN_STATE. Internal topics
  take none from clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_broker.core.effects import Level
from embedded_broker.core.log.validate import Refused, check_batch, stamp_append_time
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.purgatory import AppendWait
from kafka_protocol.errors import ErrorCode
from kafka_protocol.messages.k00_produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from embedded_broker.core.broker import Broker
    from embedded_broker.core.events import RequestReceived
    from embedded_broker.core.replication.partition import Partition

TOPIC_ID_SINCE = 13
HINTS_SINCE = 10
INTERNAL_TOPICS = ("__consumer_offsets", "__transaction_state", "__cluster_metadata")


class _Produce:
    """One request with acks=all that waits for its partitions."""

    __slots__ = ("broker", "bucket", "event", "pending", "response")

    def __init__(self, broker: Broker, event: RequestReceived, response: ProduceResponse) -> None:
        self.broker = broker
        self.event = event
        self.response = response
        self.pending: dict[int, PartitionProduceResponse] = {}
        self.bucket = -1

    def finish(self, number: int, error_code: int) -> None:
        answer = self.pending.pop(number, None)
        if answer is None:
            return
        if error_code != ErrorCode.NONE:
            _fail(answer, error_code, None)
        if not self.pending:
            self.broker.replicas.append_deadlines.withdraw(self)
            _answer(self.broker, self.event, self.response)

    def expire(self, now_ms: int) -> None:
        for answer in self.pending.values():
            _fail(
                answer,
                ErrorCode.REQUEST_TIMED_OUT,
                "the in-sync replicas did not confirm it in time",
            )
        if self.pending:
            self.pending.clear()
            _answer(self.broker, self.event, self.response)


def handle(broker: Broker, now_ms: int, event: RequestReceived) -> None:
    request: ProduceRequest = event.message
    wall_ms = broker.clock.wall_ms()
    response = ProduceResponse()
    failed = False
    waits: list[tuple[Partition, int, PartitionProduceResponse]] = []
    for topic in request.topic_data:
        name = topic.name
        if event.version >= TOPIC_ID_SINCE:
            name = broker.image.topic_names.get(topic.topic_id, "")
        answers = TopicProduceResponse(topic.name, topic.topic_id)
        response.responses.append(answers)
        for data in topic.partition_data:
            answer = PartitionProduceResponse(data.index)
            answers.partition_responses.append(answer)
            partition = _find(broker, request, topic, name, data, answer)
            if partition is not None:
                end = _append(broker, now_ms, event, partition, data, answer, wall_ms)
                if request.acks == -1 and not answer.error_code:
                    waits.append((partition, end, answer))
            failed = failed or answer.error_code != ErrorCode.NONE
    if request.acks == 0:
        if failed:
            broker.outbox.drop(event, "a produce with acks=0 failed")
        else:
            broker.outbox.no_response(event)
    elif not waits:
        _answer(broker, event, response)
    else:
        _wait(broker, now_ms, event, response, waits)


def _wait(
    broker: Broker,
    now_ms: int,
    event: RequestReceived,
    response: ProduceResponse,
    waits: list[tuple[Partition, int, PartitionProduceResponse]],
) -> None:
    produce = _Produce(broker, event, response)
    for number, (_, _, answer) in enumerate(waits):
        produce.pending[number] = answer
    broker.replicas.append_deadlines.add(produce, now_ms + max(0, event.message.timeout_ms))
    for number, (partition, end, _) in enumerate(waits):
        wait = AppendWait(end, lambda _, code, n=number: produce.finish(n, code))  # type: ignore[misc]
        partition.when_committed(now_ms, wait)


def _find(
    broker: Broker,
    request: ProduceRequest,
    topic: TopicProduceData,
    name: str,
    data: PartitionProduceData,
    answer: PartitionProduceResponse,
) -> Partition | None:
    """The partition to append to; None with the reason in ``answer``."""
    if request.acks not in (-1, 0, 1):
        _fail(answer, ErrorCode.INVALID_REQUIRED_ACKS, f"acks={request.acks} is none of -1, 0, 1")
    elif request.transactional_id is not None:
        _fail(answer, ErrorCode.INVALID_TXN_STATE, "transactions are not offered by this cluster")
    elif not name:
        code = (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if topic.topic_id.int == 0
            else ErrorCode.UNKNOWN_TOPIC_ID
        )
        _fail(answer, code, None)
    elif name in INTERNAL_TOPICS:
        _fail(answer, ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} is written by brokers alone")
    else:
        partition = broker.replicas.partitions.get((name, data.index))
        if partition is not None and partition.is_leader:
            if request.acks == -1 and partition.under_min_isr:
                _fail(
                    answer,
                    ErrorCode.NOT_ENOUGH_REPLICAS,
                    f"{len(partition.isr)} replicas are in sync, min.insync.replicas is {partition.min_isr}",
                )
                return None
            return partition
        missing = broker.replicas.missing(name, data.index)
        _fail(answer, missing if partition is None else ErrorCode.NOT_LEADER_OR_FOLLOWER, None)
        _hint(broker, name, answer)
    return None


def _append(
    broker: Broker,
    now_ms: int,
    event: RequestReceived,
    partition: Partition,
    data: PartitionProduceData,
    answer: PartitionProduceResponse,
    wall_ms: int,
) -> int:
    """Append what may be appended; returns the offset after it."""
    records = data.records
    try:
        header = check_batch(records, partition.limits, event.version, wall_ms)
        assert records is not None
        if header.producer_id >= 0:
            wrong, base, timestamp = partition.producers.check(header)
            if wrong != ErrorCode.NONE:
                raise Refused(
                    wrong,
                    f"producer {header.producer_id}: sequence {header.base_sequence} does not follow",
                )
            if base >= 0:
                answer.base_offset = base
                answer.log_append_time_ms = timestamp if partition.limits.append_time else -1
                answer.log_start_offset = partition.start_offset
                return base + header.record_count
        if partition.limits.append_time:
            stamp_append_time(records, wall_ms)  # type: ignore[arg-type]
            header = header._replace(max_timestamp=wall_ms, attributes=header.attributes | 0x08)
            answer.log_append_time_ms = wall_ms
        answer.base_offset = partition.append(now_ms, records, (header,), wall_ms)  # type: ignore[arg-type]
        answer.log_start_offset = partition.start_offset
        return answer.base_offset + header.record_count
    except Refused as refused:
        _fail(answer, refused.code, refused.text)
        answer.record_errors = [
            BatchIndexAndErrorMessage(index, text) for index, text in refused.record_errors
        ]
    except StorageFailed as e:
        broker.outbox.note(Level.ERROR, f"{partition} could not be written: {e}")
        _fail(answer, ErrorCode.KAFKA_STORAGE_ERROR, "the broker's disk refused it")
    return -1


def _fail(answer: PartitionProduceResponse, code: int, text: str | None) -> None:
    answer.error_code = code
    answer.error_message = text
    answer.base_offset = answer.log_append_time_ms = answer.log_start_offset = -1


def _hint(broker: Broker, name: str, answer: PartitionProduceResponse) -> None:
    """KIP-951: who leads now."""
    found = broker.image.partition(name, answer.index)
    if found is not None and found.leader >= 0:
        answer.current_leader = LeaderIdAndEpoch(found.leader, found.leader_epoch)


def _answer(broker: Broker, event: RequestReceived, response: ProduceResponse) -> None:
    if event.version >= HINTS_SINCE:
        leaders = {
            answer.current_leader.leader_id
            for topic in response.responses
            for answer in topic.partition_responses
            if answer.error_code and answer.current_leader.leader_id >= 0
        }
        if leaders:
            found = broker.replicas.endpoints(event.caller.listener, sorted(leaders))
            response.node_endpoints = [NodeEndpoint(*endpoint) for endpoint in found]
    broker.outbox.respond(event, response)
