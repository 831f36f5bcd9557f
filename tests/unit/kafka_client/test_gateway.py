import ast
import asyncio
import inspect
from pathlib import Path

import pytest

from kafka_client import gateway as module
from kafka_client.api import ClusterClient, ClusterReader, ClusterWriter
from kafka_client.confluent import ConfluentClient
from kafka_client.errors import ReadOnly, Rejected
from kafka_client.gateway import Gateway, open_client
from kafka_client.journal import JournalEntry
from kafka_client.model import ConfigChange, ConfigResource, Header, NewRecord
from kafka_client.profile import ConnectionProfile, Environment, quick
from tests.fakes.client import FakeClient

CONNECTION = {"connect", "close"}
ARGUMENTS = {"topic": "t", "total": 3, "group_id": "g", "offsets": {}, "before": {}}


class MemoryJournal:
    def __init__(self):
        self.recorded: list[JournalEntry] = []

    def record(self, entry):
        self.recorded.append(entry)

    async def entries(self, limit=500, before=None, cluster=None):
        return self.recorded[::-1][:limit]


@pytest.fixture
def journal():
    return MemoryJournal()


def methods(kind):
    """Names of the public methods of a port, or of the callables that an object has."""
    test = callable if not isinstance(kind, type) else inspect.isfunction
    return {name for name, _ in inspect.getmembers(kind, test) if not name.startswith("_")}


READS, WRITES = methods(ClusterReader), methods(ClusterWriter)


def required(method):
    """Arguments for every parameter of a method that has no default."""
    return {
        p.name: ARGUMENTS.get(p.name, [])
        for p in inspect.signature(method).parameters.values()
        if p.default is inspect.Parameter.empty and p.name != "self"
    }


def test_that_every_method_of_a_client_reads_writes_or_connects():
    assert methods(ClusterClient) == READS | WRITES | CONNECTION
    assert not READS & WRITES


def test_that_the_gateway_and_the_real_client_offer_exactly_the_ports():
    assert methods(Gateway(FakeClient(moving=False))) == READS | WRITES | CONNECTION
    assert methods(ConfluentClient(quick("localhost:1"))) >= READS | WRITES | CONNECTION


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_that_a_read_only_connection_refuses_before_anything_is_sent(name, journal):
    client = FakeClient(moving=False)
    gateway = Gateway(client, read_only=True, journal=journal)
    with pytest.raises(ReadOnly):
        await getattr(gateway, name)(**required(getattr(ClusterWriter, name)))
    assert client.calls == [] and journal.recorded == []


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_that_every_write_is_journaled(name, journal):
    client = FakeClient(moving=False)
    gateway = Gateway(client, journal=journal, cluster="staging")
    arguments = required(getattr(ClusterWriter, name))
    client.failing[name] = Rejected("Refused.", code=1, name="X")
    with pytest.raises(Rejected):
        await getattr(gateway, name)(**arguments)
    (entry,) = journal.recorded
    assert (entry.method, entry.cluster, entry.outcome) == (name, "staging", "Refused.")


@pytest.mark.parametrize("name", sorted(READS - {"round_trips"}))
async def test_that_a_read_only_connection_lets_reads_through_unjournaled(name, journal):
    client = FakeClient(moving=False)
    gateway = Gateway(client, read_only=True, journal=journal)
    arguments = {**required(getattr(ClusterReader, name))}
    arguments.update({name: {} for name in ("starts", "partitions") if name in arguments})
    if "max_records" in arguments:
        arguments.update(max_records=1, max_wait_s=0.0)
    await getattr(gateway, name)(**arguments)
    assert client.calls == [name] and journal.recorded == []


async def test_that_an_entry_tells_done_from_refused(journal):
    gateway = Gateway(FakeClient(moving=False), journal=journal)
    await gateway.delete_topics(["email"])
    with pytest.raises(Rejected):
        await gateway.delete_topics(["email"])
    done, refused = journal.recorded
    assert (done.method, done.subject, done.outcome) == ("delete_topics", "email", "done")
    assert done.succeeded and not refused.succeeded
    assert refused.outcome.startswith("Cannot delete topic email")


async def test_that_one_send_call_is_one_entry_without_payloads(journal):
    gateway = Gateway(FakeClient(moving=False), journal=journal)
    secret = NewRecord("email", b"canary-key", b"canary-value", (Header("h", b"canary-header"),))
    await gateway.produce([secret, secret, NewRecord("sms", None, b"canary")])
    (entry,) = journal.recorded
    assert entry.subject == "email: 2 records and sms: 1 record"
    assert "canary" not in repr(entry)


async def test_that_values_of_settings_stay_out_of_journal_and_log(journal, caplog):
    caplog.set_level("DEBUG")
    gateway = Gateway(FakeClient(moving=False), journal=journal)
    change = ConfigChange(ConfigResource("topic", "email"), "retention.ms", "123454321")
    await gateway.alter_configs([change])
    assert journal.recorded[0].subject == "topic email: retention.ms"
    assert "123454321" not in repr(journal.recorded) + caplog.text


async def test_that_a_cancelled_write_is_journaled_as_uncertain(journal):
    client = FakeClient(moving=False, delay_s=60.0)
    sending = asyncio.create_task(Gateway(client, journal=journal).delete_topics(["email"]))
    while not client.calls:
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert journal.recorded[0].outcome.startswith("Cancelled.")


def test_that_the_subject_of_a_large_change_stays_short():
    subject = module._partitions([("t", p) for p in range(10_000)])
    assert subject.endswith("and 9,980 more") and len(subject) < 200


def test_that_production_is_read_only_unless_the_profile_allows_writes():
    production = ConnectionProfile("p", ("h:1",), environment=Environment.PRODUCTION)
    assert open_client(production).read_only
    assert not open_client(
        ConnectionProfile("p", ("h:1",), environment=Environment.PRODUCTION, read_only=False)
    ).read_only
    assert not open_client(quick("localhost:9092")).read_only


def test_that_no_module_makes_a_client_past_the_gateway():
    top = Path(__file__).resolve().parents[3]
    behind = {
        "kafka_client.confluent",
        "kafka_client.confluent_admin",
        "kafka_client.confluent_data",
    }
    allowed = ("kafka_client/gateway.py", "kafka_client/confluent", "kafka_client/demo/")
    found = []
    for room in ("gui", "widgets", "kafka_client"):
        for path in sorted((top / room).rglob("*.py")):
            name = path.relative_to(top).as_posix()
            names = {
                node.module
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.ImportFrom)
            }
            if names & behind and not name.startswith(allowed):
                found.append(name)
    assert not found, "these make clients of their own, which a read-only connection would not stop"
