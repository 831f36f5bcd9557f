"""Parsing and checking of server.properties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import embedded_broker
from embedded_broker.options import (
    OPTIONS,
    TOPIC_OPTIONS,
    Option,
    SettingError,
    Settings,
    Type,
    names_secret,
    parse_properties,
)
from embedded_broker.options.topic import check_topic_configs


def refusal(text: str) -> str:
    with pytest.raises(SettingError) as caught:
        Settings.parse(text)
    return str(caught.value)


def test_that_values_are_typed_and_the_rest_has_its_default() -> None:
    s = Settings.parse("node.id=3\nnum.partitions = 6\ndelete.topic.enable:false\nbroker.rack r1\n")
    assert (
        s.node_id == 3
        and s["num.partitions"] == 6
        and s["delete.topic.enable"] is False
        and s.rack == "r1"
    )
    assert s["offsets.topic.num.partitions"] == 50


def test_that_java_properties_syntax_is_read() -> None:
    text = (
        "# c\n ! c\n\na=1\nb : two\\\n    three\nc\\:d e\nf=\\u00e4\\t\ng\n  h =\\\\\n"
        "# \\\ni=1\r\nj=1\\\r\n 2"
    )
    assert parse_properties(text) == {
        "a": "1", "b": "twothree", "c:d": "e", "f": "ä\t", "g": "", "h": "\\", "i": "1", "j": "12",
    }  # fmt: skip


def test_that_an_unknown_key_is_refused_with_a_suggestion() -> None:
    assert "num.partitons: did you mean num.partitions?" in refusal("node.id=1\nnum.partitons=3")
    assert "quite.strange" in refusal("node.id=1\nquite.strange=3")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("num.partitions=x", "num.partitions=x: allowed is a whole number of at least 1"),
        ("num.partitions=0", "num.partitions=0: allowed"),
        ("num.partitions=99999999999", "allowed"),
        ("delete.topic.enable=yes", "allowed is true or false"),
        ("log.cleanup.policy=purge", "any of delete, compact"),
        ("zookeeper.connect=h:2181", "does not use ZooKeeper"),
        ("broker.id=2", "differ"),
        ("process.roles=broker", "every node here is both"),
        ("controller.quorum.voters=2@h:1", "does not name this broker"),
        ("controller.quorum.voters=1@h", "host:port"),
        ("controller.quorum.voters=1@h:1,1@g:1", "twice"),
        ("listeners=PLAINTEXT://:1,SSL://:1", "both use port 1"),
        ("listeners=INSIDE://:1", "has no protocol for INSIDE"),
        ("listeners=PLAINTEXT://:1,SSL://:2\nsecurity.inter.broker.protocol=SASL_SSL",
         "inter.broker.listener.name is"),
        ("listeners=PLAINTEXT:1", "NAME://host:port"),
        ("listeners=PLAINTEXT://:99999", "0 to 65535"),
        ("listeners=", "empty"),
        ("inter.broker.listener.name=X", "allowed is one of PLAINTEXT"),
        ("advertised.listeners=SSL://h:1", "listeners has only PLAINTEXT"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:1",
         "clients cannot connect to PLAINTEXT://0.0.0.0:1"),
        ("group.max.session.timeout.ms=5", "above"),
        ("log.dirs=a,b", "has one directory"),
    ],
)  # fmt: skip
def test_that_an_invalid_file_is_refused_in_a_sentence(line: str, text: str) -> None:
    assert text in refusal("node.id=1\n" + line)


def test_that_a_file_of_a_kraft_broker_is_accepted() -> None:
    s = Settings.parse(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n"
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n"
        "advertised.listeners=PLAINTEXT://localhost:9092\ncontroller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
        "num.network.threads=3\n"
        "log.dirs=/tmp/x\nnum.recovery.threads.per.data.dir=1\nlog.retention.hours=168\n"
        "transaction.state.log.min.isr=1\nsocket.send.buffer.bytes=102400\n"
    )
    assert s.voters == {1: ("localhost", 9093)} and s.log_dir == "/tmp/x"
    assert [one.name for one in s.advertised_listeners] == ["PLAINTEXT"]


def test_that_two_named_listeners_are_parsed() -> None:
    s = Settings.parse(
        "node.id=1\nlisteners=IN://[::1]:1,OUT://:2\n"
        "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT\n"
        "inter.broker.listener.name=in\n"
    )
    assert (
        s.inter_broker_listener == "IN"
        and s.listener("IN").host == "::1"
        and s.voters == {1: ("::1", 1)}
    )


def test_that_every_default_is_an_allowed_value() -> None:
    for option in [*OPTIONS.values(), *TOPIC_OPTIONS.values()]:
        assert option.text.endswith((".", "not.")), option.name
        if option.default is not None and option.name != "node.id":
            assert option.parse(option.show(option.default) or "") == option.default, option.name
        for name in option.synonyms:
            assert name in OPTIONS, name
        if option.type is Type.PASSWORD:
            assert option.sensitive


def test_that_a_secret_is_not_repeated_in_a_refusal() -> None:
    secret = Option("ssl.key.password", Type.PASSWORD, None, "", sensitive=True)
    for option in (
        replace(secret, choices=("a", "b")),
        replace(secret, check=lambda _: "allowed is a long one"),
    ):
        with pytest.raises(SettingError) as caught:
            option.parse("hunter2")
        assert "hunter2" not in str(caught.value) and "allowed is" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "ssl.kye.password=hunter2",
        "listener.name.x.ssl.kye.password=hunter2",
        "zookeeper.ssl.keystore.password=hunter2",
        "sasl.oauthbearer.client.secret=hunter2",
    ],
)
def test_that_a_refusal_of_an_unknown_setting_does_not_repeat_its_value(line: str) -> None:
    assert "hunter2" not in refusal(f"node.id=1\n{line}")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("cluster.secret", True),
        ("listener.name.x.ssl.key.password", True),
        ("listener.name.internal.scram-sha-256.sasl.jaas.config", True),
        ("listener.name.x.ssl.keystore.key", True),
        ("Listener.Name.X.SSL.Keystore.Key", True),
        ("delegation.token.secret.key", True),
        ("sasl.oauthbearer.client.credentials.client.id", True),
        ("log.retention.ms", False),
        ("ssl.keystore.location", False),
        ("group.max.session.timeout.ms", False),
    ],
)
def test_that_a_name_shows_that_its_value_is_secret(name: str, secret: bool) -> None:
    assert names_secret(name) == secret


def test_that_every_declared_secret_has_the_name_of_one() -> None:
    named = {name for name in OPTIONS if names_secret(name)}
    assert named == {name for name, option in OPTIONS.items() if option.sensitive}


def test_that_a_topics_settings_are_checked() -> None:
    assert check_topic_configs({"retention.ms": "5", "cleanup.policy": "compact,delete"}) == {
        "retention.ms": 5,
        "cleanup.policy": ("compact", "delete"),
    }
    refused: list[dict[str, str | None]] = [
        {"retention.msx": "5"},
        {"retention.ms": "-2"},
        {"retention.ms": None},
        {"remote.storage.enable": "true"},
    ]
    for bad in refused:
        with pytest.raises(SettingError):
            check_topic_configs(bad)


def test_that_a_setting_with_an_effect_is_named_in_the_code() -> None:
    root = Path(embedded_broker.__file__).parent
    rooms = [root / "core", root / "shell", root / "options" / "settings.py"]
    files = [
        path
        for room in rooms
        for path in ([room] if room.is_file() else sorted(room.rglob("*.py")))
    ]
    text = "".join(path.read_text() for path in files)
    named = {name for name in {**OPTIONS, **TOPIC_OPTIONS} if f'"{name}"' in text}
    for option in [*TOPIC_OPTIONS.values(), *OPTIONS.values()]:
        if option.name in named and option.effect:
            named.update(option.synonyms)
    idle = [
        o.name
        for o in [*OPTIONS.values(), *TOPIC_OPTIONS.values()]
        if o.effect and o.name not in named
    ]
    assert not idle, f"these claim an effect and have none: {idle}"
