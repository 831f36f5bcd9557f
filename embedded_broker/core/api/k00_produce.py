"""Produce (0): append record batches; the response depends on ``acks``.

* Versions 0 to 2 are advertised and not supported (see ``versions``); the shell closes
  the connection.
* acks=0 gets no response. On an error the connection is closed, the only thing that
  such a client can notice.
* acks=all is refused before the append while too few replicas are in sync, and answered
  when the high watermark has passed the records.
* A repeated batch of an idempotent producer is answered with its first offset, once
  that is committed.
* Transactions are not supported yet: a transactional batch gets INVALID_TXN_STATE.
  Clients may not write internal topics.
"""

from __future__ import annotations

from functools import partial

from embedded_broker.core.events import RequestReceived
from embedded_broker.core.log.validate import (
    BatchRefused,
    check_batch,
    correct_newest,
    stamp_append_time,
)
from embedded_broker.core.metadata.topics import NOT_WRITABLE_BY_CLIENTS
from embedded_broker.core.ports import StorageFailed
from embedded_broker.core.replication.partition import Partition
from embedded_broker.core.replication.purgatory import AppendWait
from embedded_broker.core.replication.replicas import Replicas
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
from kafka_protocol.records.batch import TIMESTAMP_APPEND_TIME
from kafka_protocol.records.inspection import Outcome

TOPIC_ID_SINCE = 13
HINTS_SINCE = 10
LOAD_AT_ONCE = 2_000
"""Headers of batches that are read for the state of producers before a Produce request is refused
until the rest has been read."""


class _Produce:
    """One request with acks=all that waits for its partitions."""

    __slots__ = ("bucket", "event", "pending", "replicas", "response")

    def __init__(
        self, replicas: Replicas, event: RequestReceived, response: ProduceResponse
    ) -> None:
        self.replicas = replicas
        self.event = event
        self.response = response
        self.pending: dict[int, PartitionProduceResponse] = {}
        """The results that are not committed yet, by number."""
        self.bucket = -1

    def finish(self, number: int, now_ms: int, error_code: int) -> None:
        """One partition is committed or has failed; respond after the last."""
        result = self.pending.pop(number, None)
        if result is None:
            return
        if error_code != ErrorCode.NONE:
            _fail(result, error_code, None)
        if not self.pending:
            self.replicas.append_deadlines.withdraw(self)
            _respond(self.replicas, self.event, self.response)

    def expire(self, now_ms: int) -> None:
        """Respond with a timeout for the partitions that are not committed."""
        for result in self.pending.values():
            _fail(
                result,
                ErrorCode.REQUEST_TIMED_OUT,
                "the in-sync replicas did not confirm the records in time",
            )
        if self.pending:
            self.pending.clear()
            _respond(self.replicas, self.event, self.response)


def produce(replicas: Replicas, now_ms: int, event: RequestReceived) -> None:
    """Append the batches of the request; respond now, or when they are committed."""
    request: ProduceRequest = event.message
    env = replicas.env
    wall_ms = env.clock.wall_ms()
    response = ProduceResponse()
    failed = False
    waits: list[tuple[Partition, int, PartitionProduceResponse]] = []
    outcomes = iter(event.outcomes)
    for topic in request.topic_data:
        name = topic.name
        if event.version >= TOPIC_ID_SINCE:
            name = env.image.topic_names.get(topic.topic_id, "")
        topic_response = TopicProduceResponse(topic.name, topic.topic_id)
        response.responses.append(topic_response)
        for data in topic.partition_data:
            result = PartitionProduceResponse(data.index)
            topic_response.partition_responses.append(result)
            partition = _find(replicas, now_ms, request, topic, name, data, result)
            outcome = next(outcomes, None)
            if partition is not None:
                end = _append(replicas, now_ms, event, partition, data, outcome, result, wall_ms)
                if request.acks == -1 and not result.error_code:
                    waits.append((partition, end, result))
            failed = failed or result.error_code != ErrorCode.NONE
    if request.acks == 0:
        if failed:
            env.outbox.drop(event, "a Produce request with acks=0 failed")
        else:
            env.outbox.no_response(event)
    elif not waits:
        _respond(replicas, event, response)
    else:
        _wait(replicas, now_ms, event, response, waits)


def _wait(
    replicas: Replicas,
    now_ms: int,
    event: RequestReceived,
    response: ProduceResponse,
    waits: list[tuple[Partition, int, PartitionProduceResponse]],
) -> None:
    waiting = _Produce(replicas, event, response)
    for number, (_, _, result) in enumerate(waits):
        waiting.pending[number] = result
    replicas.append_deadlines.add(waiting, now_ms + max(0, event.message.timeout_ms))
    for number, (partition, end, _) in enumerate(waits):
        partition.when_committed(now_ms, AppendWait(end, partial(waiting.finish, number)))


def _find(
    replicas: Replicas,
    now_ms: int,
    request: ProduceRequest,
    topic: TopicProduceData,
    name: str,
    data: PartitionProduceData,
    result: PartitionProduceResponse,
) -> Partition | None:
    """Return the partition to append to, or None with the reason in ``result``."""
    if request.acks not in (-1, 0, 1):
        _fail(result, ErrorCode.INVALID_REQUIRED_ACKS, f"acks={request.acks} is not -1, 0 or 1")
    elif request.transactional_id is not None:
        _fail(result, ErrorCode.INVALID_TXN_STATE, "this cluster does not support transactions")
    elif not name:
        code = (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if topic.topic_id.int == 0
            else ErrorCode.UNKNOWN_TOPIC_ID
        )
        _fail(result, code, None)
    elif name in NOT_WRITABLE_BY_CLIENTS:
        _fail(result, ErrorCode.INVALID_TOPIC_EXCEPTION, f"only brokers may write {name}")
    else:
        partition = replicas.partition_now(now_ms, name, data.index)
        if partition is not None and partition.is_leader:
            if request.acks == -1 and partition.under_min_isr:
                _fail(
                    result,
                    ErrorCode.NOT_ENOUGH_REPLICAS,
                    f"replicas in sync: {len(partition.isr)};"
                    f" min.insync.replicas: {partition.min_isr}",
                )
                return None
            return partition
        missing = replicas.table.missing(name, data.index)
        _fail(result, missing if partition is None else ErrorCode.NOT_LEADER_OR_FOLLOWER, None)
        _hint(replicas, name, result)
    return None


def _append(
    replicas: Replicas,
    now_ms: int,
    event: RequestReceived,
    partition: Partition,
    data: PartitionProduceData,
    outcome: Outcome,
    result: PartitionProduceResponse,
    wall_ms: int,
) -> int:
    """Validate and append a batch; return the offset after it, or -1 with the error in
    ``result``."""
    records = data.records
    try:
        header = check_batch(records, partition.limits, event.version, wall_ms, outcome)
        assert records is not None
        if header.producer_id >= 0:
            if not partition.producers.load(LOAD_AT_ONCE):
                replicas.producer_loads.hurry(now_ms, partition)
                partition.producers.refused(header)
                # Kafka does not lead before it has loaded them; clients try again in order.
                raise BatchRefused(
                    ErrorCode.NOT_LEADER_OR_FOLLOWER, "the producers of the log are being loaded"
                )
            wrong, base, timestamp = partition.producers.check(header)
            if wrong != ErrorCode.NONE:
                raise BatchRefused(
                    wrong,
                    f"producer {header.producer_id}: unexpected sequence number"
                    f" {header.base_sequence} of epoch {header.producer_epoch}",
                )
            # A repeated batch: nothing is appended, and the response waits for the
            # first copy.
            if base >= 0:
                result.base_offset = base
                result.log_append_time_ms = timestamp if partition.limits.append_time else -1
                result.log_start_offset = partition.start_offset
                return base + header.record_count
        if partition.limits.append_time:
            stamp_append_time(records, wall_ms)  # type: ignore[arg-type]
            attributes = header.attributes | TIMESTAMP_APPEND_TIME
            header = header._replace(max_timestamp=wall_ms, attributes=attributes)
            result.log_append_time_ms = wall_ms
        else:
            correct_newest(records, header.max_timestamp)  # type: ignore[arg-type]
        base = partition.append(now_ms, records, (header,), wall_ms)  # type: ignore[arg-type]
        result.base_offset = base
        result.log_start_offset = partition.start_offset
        return result.base_offset + header.record_count
    except BatchRefused as refused:
        _fail(result, refused.code, refused.text)
        result.record_errors = [
            BatchIndexAndErrorMessage(index, text) for index, text in refused.record_errors
        ]
    except StorageFailed as e:
        replicas.storage_failed(now_ms, f"cannot write {partition}", e)
        _fail(result, ErrorCode.KAFKA_STORAGE_ERROR, "the broker's disk refused the write")
    return -1


def _fail(result: PartitionProduceResponse, code: int, text: str | None) -> None:
    result.error_code = code
    result.error_message = text
    result.base_offset = result.log_append_time_ms = result.log_start_offset = -1


def _hint(replicas: Replicas, name: str, result: PartitionProduceResponse) -> None:
    """Name the current leader, so that the client need not ask for metadata
    (KIP-951)."""
    known = replicas.table.led_elsewhere(name, result.index)
    if known is not None:
        result.current_leader = LeaderIdAndEpoch(known.leader, known.leader_epoch)


def _respond(replicas: Replicas, event: RequestReceived, response: ProduceResponse) -> None:
    if event.version >= HINTS_SINCE:
        leaders = {
            result.current_leader.leader_id
            for topic in response.responses
            for result in topic.partition_responses
            if result.error_code and result.current_leader.leader_id >= 0
        }
        if leaders:
            endpoints = replicas.env.image.endpoints(event.caller.listener, sorted(leaders))
            response.node_endpoints = [NodeEndpoint(*endpoint) for endpoint in endpoints]
    replicas.env.outbox.respond(event, response)
