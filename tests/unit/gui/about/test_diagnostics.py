"""The diagnostics that a person copies: complete enough for a report, and without a secret."""

from __future__ import annotations

from pathlib import Path

from gui.about.diagnostics import Connected, Place, connection_line, log_tail, report
from kafka_client.profile import ConnectionProfile, Mechanism, Protocol

PROFILE = ConnectionProfile(
    "prod",
    ("broker-1:9093", "broker-2:9093"),
    security_protocol=Protocol.SASL_SSL,
    sasl_mechanism=Mechanism.SCRAM_512,
    sasl_username="alice",
    sasl_password_ref="ref-of-the-password",
    key_path="/keys/alice.pem",
    certificate_path="/keys/alice.crt",
    key_password_ref="ref-of-the-key",
    read_only=True,
)


def test_that_a_connection_is_listed_without_credentials() -> None:
    line = connection_line(Connected(PROFILE, "connected", 3, 40, embedded=False))
    assert line == (
        "prod: broker-1:9093, broker-2:9093, SASL_SSL SCRAM-SHA-512, read-only, connected, "
        "brokers: 3, topics: 40"
    )
    for secret in ("alice", "ref-of", "/keys"):
        assert secret not in line


def test_that_an_embedded_cluster_is_marked() -> None:
    profile = ConnectionProfile("demo", ("localhost:19092",))
    line = connection_line(Connected(profile, "connected", 3, 4, embedded=True))
    assert line == "demo: localhost:19092, PLAINTEXT, embedded, connected, brokers: 3, topics: 4"


def test_that_the_report_holds_every_section_and_no_secret() -> None:
    text = report(
        [("Kafkarium", "1.0")],
        [("Screen", "1440 × 900")],
        [Place("Log", Path("/home/alice/log/kafkarium.log"))],
        [Connected(PROFILE, "lost", 0, 0, embedded=False)],
        ["2026-01-01 INFO gui x", "sasl.password=HUNTER2", "https://u:HUNTER2@host/"],
        Path("/home/alice"),
    )
    assert "HUNTER2" not in text and "alice" not in text
    assert "Kafkarium: 1.0" in text and "~/log/kafkarium.log" in text and "prod: broker-1" in text
    assert "Log, last 3 lines" in text


def test_that_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kafkarium.log"
    path.write_text("".join(f"line {number}\n" for number in range(50_000)))
    lines = log_tail(path, 10)
    assert lines == [f"line {number}" for number in range(49_990, 50_000)]


def test_that_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "nothing.log") == []
    assert log_tail(None) == []
