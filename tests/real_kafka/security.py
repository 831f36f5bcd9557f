"""Write the server.properties of brokers whose clients use TLS or SASL. They are for tests of
connections, not a model to copy."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
USER = "alice"
PASSWORD = "alice-secret"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_LOGIN = "org.apache.kafka.common.security"


def listener_settings(protocol: str, data: Path) -> dict[str, str]:
    """Settings of the listener CLIENTS. Makes a self-signed certificate in `data` (ca.pem) where
    one is needed."""
    settings: dict[str, str] = {}
    if protocol.startswith("SASL"):
        prefix = "listener.name.clients."
        settings[f"{prefix}sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        settings[f"{prefix}plain.sasl.jaas.config"] = (
            f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        )
        for mechanism in MECHANISMS[1:]:
            settings[f"{prefix}{mechanism.lower()}.sasl.jaas.config"] = (
                f"{_LOGIN}.scram.ScramLoginModule required;"
            )
    if protocol.endswith("SSL"):
        _certificate(data)
        settings["ssl.keystore.type"] = "PEM"
        settings["ssl.keystore.location"] = str(data / "server.pem")
    return settings


def format_arguments(protocol: str) -> list[str]:
    """Return the storage tool's arguments that create the SCRAM users before the first start."""
    if not protocol.startswith("SASL"):
        return []
    users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in MECHANISMS[1:]]
    return [argument for user in users for argument in ("--add-scram", user)]


def _certificate(data: Path) -> None:
    key, certificate = data / "server.key", data / "ca.pem"
    if certificate.exists():
        return
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
    ]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (data / "server.pem").write_text(key.read_text() + certificate.read_text())
