import ast
import inspect
from pathlib import Path

import pytest

from kafka_client.api import ClusterClient
from kafka_client.confluent import ConfluentClient
from kafka_client.errors import ReadOnly, Rejected
from kafka_client.fake import FakeClient
from kafka_client.gateway import MUTATING, Gateway, open_client
from kafka_client.profile import ConnectionProfile, Environment, quick

LOOKING = {
    "connect",
    "close",
    "metadata",
    "quorum",
    "offsets",
    "log_dirs",
    "list_groups",
    "describe_groups",
    "committed",
    "configs",
    "read",
    "open_reader",
    "round_trips",
}
ARGUMENTS = {"topic": "t", "total": 3, "group_id": "g", "offsets": {}, "before": {}}


def public(kind):
    return {
        name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")
    }


def test_that_every_method_of_the_protocol_is_known_as_looking_or_changing():
    assert public(ClusterClient) == LOOKING | MUTATING
    assert not LOOKING & MUTATING


def test_that_the_gateway_has_nothing_but_the_protocol():
    assert public(Gateway) == public(ClusterClient)
    assert public(ClusterClient) <= public(ConfluentClient)


@pytest.mark.parametrize("name", sorted(MUTATING))
async def test_that_a_read_only_connection_refuses_before_anything_is_sent(name):
    client = FakeClient(moving=False)
    gateway = Gateway(client, read_only=True)
    method = getattr(gateway, name)
    required = [
        ARGUMENTS.get(p.name, [])
        for p in inspect.signature(method).parameters.values()
        if p.default is inspect.Parameter.empty
    ]
    with pytest.raises(ReadOnly):
        await method(*required)
    assert client.calls == []


async def test_that_every_change_is_told_with_its_outcome():
    told = []
    gateway = Gateway(FakeClient(moving=False), on_write=lambda *what: told.append(what))
    await gateway.delete_topics(["email"])
    with pytest.raises(Rejected):
        await gateway.delete_topics(["email"])
    assert told[0] == ("delete_topics", "email", "")
    assert told[1][:2] == ("delete_topics", "email") and told[1][2].startswith(
        "Cannot delete topic email"
    )


def test_that_production_is_read_only_unless_said_otherwise():
    production = ConnectionProfile("p", ("h:1",), environment=Environment.PRODUCTION)
    assert open_client(production).read_only
    assert not open_client(
        ConnectionProfile("p", ("h:1",), environment=Environment.PRODUCTION, read_only=False)
    ).read_only
    assert not open_client(quick("localhost:9092")).read_only


def test_that_nobody_reaches_a_cluster_past_the_gate():
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
