import json

import pytest

from kafka_client.demo.__main__ import Demo
from kafka_client.demo.consumers import DemoGroup
from kafka_client.demo.scenario import RecordGenerator, load, scenarios


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr(
        DemoGroup, "add", lambda self: self._members.append(None) or len(self._members) < 3
    )
    return Demo("127.0.0.1:1", load("notifications"), 1.0)


def test_that_the_notifications_are_what_the_demo_promises():
    scenario = load("notifications")
    assert "notifications" in scenarios()
    shape = {t.topic: (t.partitions, t.replication_factor) for t in scenario.traffic}
    assert shape == {"email": (3, 3), "slack": (3, 2), "sms": (3, 2)}
    slower = [t.topic for t in scenario.traffic if t.consumer_records_per_s < t.records_per_s]
    assert slower == ["sms"]
    sms = scenario.traffic[2]
    assert 2 * sms.consumer_records_per_s > sms.records_per_s


def test_that_records_are_json_with_every_placeholder_filled_and_the_same_for_a_seed():
    for traffic in load("notifications").traffic:
        records = [RecordGenerator(7).record(traffic, 1_700_000_000.0) for _ in range(2)]
        assert records[0] == records[1]
        generator = RecordGenerator(1)
        for _ in range(200):
            key, value = generator.record(traffic, 1_700_000_000.0)
            assert b"{" not in key
            text = json.dumps(list(json.loads(value).values()))
            assert "pick:" not in text and "int:" not in text and "{time}" not in text
    email = json.loads(
        RecordGenerator(1).record(load("notifications").traffic[0], 1_700_000_000.0)[1]
    )
    assert email["created_at"] == "2023-11-14T22:13:20.000Z"
    assert email["user_id"] > 2**53 and isinstance(email["attempt"], int)


def test_that_commands_change_the_traffic_and_show_in_the_status(demo):
    for line in (
        '{"rate": 2.5}',
        '{"pause": "sms"}',
        '{"add_consumer": "sms"}',
        '{"pause_producer": true}',
    ):
        assert demo.execute(line) == ""
    status = demo.status()
    assert status["rate"] == 2.5 and status["producer_paused"]
    assert status["consumers"]["sms"] == {
        "paused": True,
        "members": 1,
        "per_s": 0.0,
        "group": "sms-senders",
    }
    assert (
        demo.execute('{"resume": "sms"}') == "" and not demo.status()["consumers"]["sms"]["paused"]
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"rate": "fast"}',
        '{"pause": "fax"}',
        '{"pause": []}',
        '{"x": 1}',
        "[" * 9999,
    ],
)
def test_that_an_invalid_command_is_refused_and_nothing_changes(demo, line):
    before = demo.status()
    assert demo.execute(line)
    assert demo.status() == before


def test_that_the_rate_stays_within_bounds(demo):
    demo.execute('{"rate": 1e9}')
    assert demo.status()["rate"] == 1000.0
    demo.execute('{"rate": -5}')
    assert demo.status()["rate"] == 0.0
