import json

import pytest

from kafka_client import lag_command
from kafka_client.gateway import Gateway
from kafka_client.lag_command import main, table
from tests.fakes.client import FakeClient


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(
        lag_command,
        "open_client",
        lambda profile: Gateway(FakeClient(moving=False), read_only=True),
    )


@pytest.mark.usefixtures("fake")
def test_that_groups_come_with_the_largest_lag_first_with_lag_in_records_and_seconds(capsys):
    assert main(["--bootstrap", "h:1"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "GROUP",
        "STATE",
        "MEMBERS",
        "TOPICS",
        "LAG",
        "SECONDS",
        "IN/S",
        "OUT/S",
        "STATUS",
    ]
    assert rows[0].startswith("sms-senders") and rows[1].startswith("nightly-report")
    assert " -  " not in rows[0].split("sms ")[1][:30]
    assert len(rows) == 5


@pytest.mark.usefixtures("fake")
def test_that_partitions_of_one_group_come_as_json_lines(capsys):
    assert main(["--bootstrap", "h:1", "--group", "sms-senders", "--partitions", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["topic"], r["partition"]) for r in rows] == [("sms", 0), ("sms", 1), ("sms", 2)]
    assert all(
        r["lag"] == r["end"] - r["committed"] and r["client"] == "sms-senders-0" for r in rows
    )


def test_that_an_unreachable_cluster_is_one_sentence_and_code_1(capsys):
    assert main(["--bootstrap", "127.0.0.1:1"]) == 1
    out, err = capsys.readouterr()
    assert (
        out == ""
        and err.startswith("kafkarium lag: Nothing listens on 127.0.0.1:1.")
        and err.count("\n") == 1
    )


def test_that_an_invalid_address_is_code_2(capsys):
    assert main(["--bootstrap", "h:port"]) == 2
    assert "is not an address" in capsys.readouterr().err


def test_that_a_table_has_numbers_to_the_right():
    assert (
        table([{"a": "x", "n": 1}, {"a": "long", "n": 1234}])
        == "A         N\nx         1\nlong  1,234"
    )
