"""Describe how to reach a cluster: a ``ConnectionProfile``, stored as JSON without any secret.

A profile file may come from someone else, so it is untrusted input: additional client properties
must be on an allow-list (none of them loads code, runs a command or names a file), and secrets are
only *references* into the system's keyring (``secrets.py``).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from kafka_client.errors import BadInput

PROFILE_FILE_VERSION = 1
DEFAULT_PORT = 9092


class Protocol(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def tls(self) -> bool:
        return self in (Protocol.SSL, Protocol.SASL_SSL)

    @property
    def sasl(self) -> bool:
        return self in (Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL)


class Mechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_256 = "SCRAM-SHA-256"
    SCRAM_512 = "SCRAM-SHA-512"


class Environment(StrEnum):
    """The purpose of the cluster. PRODUCTION is read-only unless the profile allows writes."""

    NONE = ""
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


ALLOWED_PROPERTIES = frozenset(
    {
        "api.version.request.timeout.ms",
        "batch.num.messages",
        "batch.size",
        "broker.address.family",
        "broker.address.ttl",
        "client.dns.lookup",
        "client.id",
        "client.rack",
        "compression.level",
        "connections.max.idle.ms",
        "enable.idempotence",
        "enable.ssl.certificate.verification",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.wait.max.ms",
        "linger.ms",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "max.partition.fetch.bytes",
        "message.max.bytes",
        "message.timeout.ms",
        "metadata.max.age.ms",
        "receive.message.max.bytes",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "request.timeout.ms",
        "retries",
        "retry.backoff.ms",
        "socket.connection.setup.timeout.ms",
        "socket.keepalive.enable",
        "socket.nagle.disable",
        "socket.receive.buffer.bytes",
        "socket.send.buffer.bytes",
        "socket.timeout.ms",
        "ssl.cipher.suites",
        "ssl.curves.list",
        "ssl.endpoint.identification.algorithm",
        "ssl.sigalgs.list",
    }
)

_WHY_BLOCKED = {
    "plugin.library.paths": "it loads code",
    "sasl.kerberos.kinit.cmd": "it runs a command",
    "ssl.engine.location": "it loads code",
    "ssl.providers": "it loads code",
}

_COLOUR = re.compile(r"(#[0-9a-fA-F]{6})?")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:\[\]/,]+)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class ConnectionProfile:
    """One cluster. Fields that end in ``_ref`` name a secret in the keyring."""

    name: str
    bootstrap_servers: tuple[str, ...]
    security_protocol: Protocol = Protocol.PLAINTEXT
    sasl_mechanism: Mechanism = Mechanism.SCRAM_512
    sasl_username: str = ""
    sasl_password_ref: str = ""
    ca_path: str = ""
    certificate_path: str = ""
    key_path: str = ""
    key_password_ref: str = ""
    verify_hostname: bool = True
    read_only: bool | None = None
    """None: read-only in PRODUCTION, writable elsewhere."""
    environment: Environment = Environment.NONE
    colour: str = ""
    """``#rrggbb`` or empty."""
    address_map: Mapping[str, str] = field(default_factory=dict)
    """Where to connect instead of an advertised address: "kafka-1:9092" -> "localhost:19092"."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Additional properties of librdkafka, from ALLOWED_PROPERTIES."""

    @property
    def references(self) -> frozenset[str]:
        """The names of the secrets of this connection."""
        return frozenset({self.sasl_password_ref, self.key_password_ref} - {""})

    @property
    def writes_refused(self) -> bool:
        """Return whether the gateway refuses changes."""
        return (
            self.environment is Environment.PRODUCTION if self.read_only is None else self.read_only
        )

    @property
    def checks_certificate(self) -> bool:
        """Return whether a broker's certificate must come from a known authority."""
        wanted = self.properties.get("enable.ssl.certificate.verification", "true")
        return wanted.strip().lower() not in ("false", "f", "0")

    @property
    def checks_name(self) -> bool:
        """Return whether a broker's certificate must name the host that was dialled."""
        wanted = self.properties.get("ssl.endpoint.identification.algorithm", "https")
        named = wanted.strip().lower() != "none"
        return self.verify_hostname and self.checks_certificate and named

    @property
    def unchecked(self) -> str:
        """What TLS does not protect from on this connection, as sentences; empty when it
        protects."""
        if not self.security_protocol.tls or self.checks_name:
            return ""
        what = (
            "This connection does not check that a broker's certificate names its host"
            if self.checks_certificate
            else "This connection accepts any certificate"
        )
        return (
            f"{what}: whoever is on the way can pose as the cluster, and read and change what is "
            "sent, the password included."
        )

    def dial(self, host: str, port: int) -> tuple[str, int]:
        """The address to connect to for an advertised one."""
        mapped = self.address_map.get(f"{host}:{port}") or self.address_map.get(host)
        return parse_address(mapped, port) if mapped else (host, port)

    def problems(self) -> list[str]:
        """Return what is wrong with the profile, a sentence each; empty when it can be used."""
        problems = []
        if not self.name.strip():
            problems.append("The connection needs a name.")
        if not self.bootstrap_servers:
            problems.append("Give at least one bootstrap server, as host:port.")
        for address in (*self.bootstrap_servers, *self.address_map.values()):
            try:
                parse_address(address)
            except BadInput as error:
                problems.append(str(error))
        if not _COLOUR.fullmatch(self.colour):
            problems.append("The colour is written as #rrggbb.")
        if self.security_protocol.sasl and not self.sasl_username:
            problems.append(f"{self.security_protocol} needs a user name.")
        if bool(self.certificate_path) != bool(self.key_path):
            problems.append("A client certificate and its key go together: give both or none.")
        problems += [
            _refusal(name) for name in sorted(self.properties) if name not in ALLOWED_PROPERTIES
        ]
        return problems

    def checked(self) -> ConnectionProfile:
        """Return the profile itself. Raises: BadInput with every problem."""
        problems = self.problems()
        if problems:
            raise BadInput(" ".join(problems), subject=self.name)
        return self


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """("host", port) of "host", "host:port" or "[v6]:port". Raises: BadInput."""
    match = _ADDRESS.fullmatch(text.strip())
    port = int(match[2]) if match and match[2] else default_port
    if match is None or not 0 < port < 65536:
        shown = text if len(text) <= 80 else text[:79] + "…"
        raise BadInput(
            f"“{shown}” is not an address.",
            next_step="Write host:port, for example localhost:9092.",
        )
    return match[1].strip("[]"), port


def quick(
    bootstrap_servers: str, name: str = "", read_only: bool | None = None
) -> ConnectionProfile:
    """A profile without security for comma-separated addresses. Raises: BadInput."""
    servers = tuple(part.strip() for part in bootstrap_servers.split(",") if part.strip())
    return ConnectionProfile(
        name or (servers[0] if servers else ""), servers, read_only=read_only
    ).checked()


def to_json(profile: ConnectionProfile) -> dict[str, object]:
    """The fields that differ from their defaults. Holds no secret, only references."""
    plain = asdict(profile)
    defaults = {f.name: f.default for f in fields(ConnectionProfile)}
    kept = {name: value for name, value in plain.items() if value != defaults[name] and value != {}}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()
    }


def from_json(data: object) -> ConnectionProfile:
    """Make a profile of untrusted JSON. Raises: BadInput that names the wrong field."""
    if not isinstance(data, dict):
        raise BadInput("A connection is a JSON object.")
    known = {f.name for f in fields(ConnectionProfile)}
    unknown = sorted(str(name)[:60] for name in data if name not in known)
    if unknown:
        raise BadInput(
            f"A connection has no field “{unknown[0]}”.",
            next_step="Remove it; a secret belongs in the keyring.",
        )
    values: dict[str, object] = {}
    for name, value in data.items():
        values[name] = _converted(str(name), value)
    try:
        profile = ConnectionProfile(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise BadInput("A connection needs name and bootstrap_servers.") from error
    return profile.checked()


def _converted(name: str, value: object) -> object:
    match name:
        case "bootstrap_servers" if isinstance(value, list) and all(
            isinstance(v, str) for v in value
        ):
            return tuple(value)
        case "address_map" | "properties" if isinstance(value, dict) and all(
            isinstance(v, str) for v in value.values()
        ):
            return dict(value)
        case "verify_hostname" if isinstance(value, bool):
            return value
        case "read_only" if value is None or isinstance(value, bool):
            return value
        case "security_protocol" | "sasl_mechanism" | "environment":
            kinds = {
                "security_protocol": Protocol,
                "sasl_mechanism": Mechanism,
                "environment": Environment,
            }
            try:
                return kinds[name](str(value))
            except ValueError:
                raise BadInput(f"{name} cannot be “{str(value)[:60]}”.") from None
        case "bootstrap_servers" | "address_map" | "properties" | "verify_hostname" | "read_only":
            raise BadInput(f"{name} has a value of the wrong type.")
        case _ if isinstance(value, str):
            return value
        case _:
            raise BadInput(f"{name} has a value of the wrong type.")


def _refusal(name: str) -> str:
    why = _WHY_BLOCKED.get(name, "it is not among those that are known to be harmless")
    return f"The property “{name[:60]}” is not allowed: {why}."


def load_profiles(path: Path) -> list[ConnectionProfile]:
    """Read all profiles of a file; none when it does not exist. Raises: BadInput that names the
    file."""
    if not path.exists():
        return []
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = data["profiles"] if isinstance(data, dict) else None
        if not isinstance(entries, list):
            raise BadInput("it has no list of profiles")
        return [from_json(entry) for entry in entries]
    except (OSError, ValueError, KeyError, RecursionError, BadInput) as error:
        raise BadInput(
            f"The connections in {path.name} cannot be read: {error}", subject=str(path)
        ) from error


def save_profiles(path: Path, profiles: list[ConnectionProfile]) -> None:
    """Replace the file atomically. Raises: OSError; the old file stands then."""
    body = json.dumps(
        {"version": PROFILE_FILE_VERSION, "profiles": [to_json(p) for p in profiles]}, indent=2
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(body + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
