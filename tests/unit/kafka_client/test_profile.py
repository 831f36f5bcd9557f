import json
import ssl
from typing import Any

import pytest

from kafka_client.errors import BadInput
from kafka_client.librdkafka import properties
from kafka_client.profile import (
    ConnectionProfile,
    Environment,
    Mechanism,
    Protocol,
    from_json,
    load_profiles,
    parse_address,
    quick,
    save_profiles,
    to_json,
)
from kafka_client.secrets import KeyringSecrets, MemorySecrets
from kafka_client.wire.login import tls_context

SECRET = "canary-7f3a"
FULL = ConnectionProfile(
    "staging",
    ("a:9093", "b:9093"),
    Protocol.SASL_SSL,
    Mechanism.SCRAM_256,
    "ada",
    "staging/password",
    "/ca.pem",
    environment=Environment.TEST,
    read_only=True,
    colour="#336699",
    address_map={"kafka-1:9092": "localhost:19092"},
    properties={"client.rack": "r1"},
)


def test_that_a_profile_survives_json_and_holds_no_secret(tmp_path):
    path = tmp_path / "connections.json"
    save_profiles(path, [FULL, quick("localhost:9092")])
    assert load_profiles(path) == [FULL, quick("localhost:9092")]
    secrets = MemorySecrets({"staging/password": SECRET})
    assert (
        SECRET not in path.read_text() and SECRET not in repr(FULL) and SECRET not in repr(secrets)
    )
    assert properties(FULL, secrets)["sasl.password"] == SECRET
    assert [p.name for p in tmp_path.iterdir()] == ["connections.json"]


def test_that_an_absent_file_is_no_profiles_and_a_broken_one_a_sentence(tmp_path):
    assert load_profiles(tmp_path / "no.json") == []
    for text in ("{", "[]", '{"profiles": 3}', '{"profiles": [{"name": "x"}]}', "[" * 100_000):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadInput, match=r"bad\.json cannot be read"):
            load_profiles(tmp_path / "bad.json")


@pytest.mark.parametrize(
    "name",
    [
        "plugin.library.paths",
        "sasl.kerberos.kinit.cmd",
        "ssl.engine.location",
        "ssl.providers",
        "ssl.ca.location",
    ],
)
def test_that_a_property_that_could_do_harm_is_refused(name):
    with pytest.raises(BadInput, match="is not allowed"):
        from_json({"name": "x", "bootstrap_servers": ["h:1"], "properties": {name: "/tmp/evil.so"}})


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"name": "x"},
        {"name": 3, "bootstrap_servers": ["h:1"]},
        {"name": "x", "bootstrap_servers": "h:1"},
        {"name": "x", "bootstrap_servers": ["h:1"], "sasl_password": SECRET},
        {"name": "x", "bootstrap_servers": ["h:1"], "security_protocol": "TELNET"},
        {"name": "x", "bootstrap_servers": ["h:99999"]},
        {"name": "x", "bootstrap_servers": ["h:1"], "colour": "red"},
        {"name": "x", "bootstrap_servers": ["h:1"], "read_only": "no"},
        {"name": "x", "bootstrap_servers": ["h:1"], "security_protocol": "SASL_SSL"},
    ],
)
def test_that_what_does_not_fit_is_refused_with_a_sentence(data):
    with pytest.raises(BadInput) as caught:
        from_json(data)
    assert str(caught.value).endswith(".") and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", ("h", 9092)),
        ("h:1", ("h", 1)),
        ("[::1]:9", ("::1", 9)),
        (" 10.0.0.1:9092 ", ("10.0.0.1", 9092)),
    ],
)
def test_that_addresses_are_read(text, expected):
    assert parse_address(text) == expected


def test_that_an_address_map_says_where_to_dial():
    assert FULL.dial("kafka-1", 9092) == ("localhost", 19092)
    assert FULL.dial("kafka-2", 9092) == ("kafka-2", 9092)


def test_that_defaults_are_not_written():
    assert to_json(quick("h:1")) == {"name": "h:1", "bootstrap_servers": ["h:1"]}
    assert json.dumps(to_json(FULL))


def test_that_a_keyring_that_keeps_nothing_is_not_trusted():
    secrets = KeyringSecrets()
    assert not secrets.usable
    assert secrets.put("r", SECRET) is False
    assert secrets.get("r") == SECRET


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"verify_hostname": False}, "names its host"),
        ({"properties": {"ssl.endpoint.identification.algorithm": "none"}}, "names its host"),
        ({"properties": {"enable.ssl.certificate.verification": "false"}}, "any certificate"),
        ({"properties": {"ssl.endpoint.identification.algorithm": " NONE"}}, "names its host"),
        ({"properties": {"enable.ssl.certificate.verification": "False"}}, "any certificate"),
        ({"properties": {"enable.ssl.certificate.verification": "0"}}, "any certificate"),
        ({"security_protocol": Protocol.PLAINTEXT, "verify_hostname": False}, ""),
    ],
)
def test_that_a_connection_says_what_tls_does_not_protect_from(
    changes: dict[str, Any], says: str
) -> None:
    fields: dict[str, Any] = {"security_protocol": Protocol.SSL, **changes}
    profile = ConnectionProfile("orders", ("b:9093",), **fields)
    assert says in profile.unchecked and bool(says) == bool(profile.unchecked)
    if profile.security_protocol.tls:
        context = tls_context(profile, MemorySecrets())
        assert context.check_hostname == (not says)
        assert (context.verify_mode == ssl.CERT_NONE) == ("any" in says)
