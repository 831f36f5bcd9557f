"""The text that a person copies into a report: versions, folders, what is connected and the end of
the log. No secret, no user name, and the home folder as ``~``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gui.log import redact
from kafka_client.profile import ConnectionProfile

LOG_LINES = 100
LOG_TAIL_BYTES = 64_000


@dataclass(frozen=True, slots=True)
class Place:
    """One file or folder that Kafkarium keeps something in."""

    name: str
    path: Path
    note: str = ""


@dataclass(frozen=True, slots=True)
class Connected:
    """One open cluster: its profile, how the connection is, and how large the cluster is."""

    profile: ConnectionProfile
    state: str
    brokers: int
    topics: int
    embedded: bool


def connection_line(connected: Connected) -> str:
    """Describe a connection without its user name, secret references and paths of keys.

    ``prod: broker-1:9093, SASL_SSL SCRAM-SHA-512, read-only, connected, brokers: 3, topics: 40``
    """
    profile = connected.profile
    security = profile.security_protocol.value
    if profile.security_protocol.sasl:
        security += f" {profile.sasl_mechanism.value}"
    parts = [
        ", ".join(profile.bootstrap_servers),
        security,
        "embedded" if connected.embedded else "",
        "read-only" if profile.writes_refused else "",
        connected.state,
        f"brokers: {connected.brokers}",
        f"topics: {connected.topics}",
    ]
    return f"{profile.name}: {', '.join(part for part in parts if part)}"


def log_tail(path: Path | None, lines: int = LOG_LINES) -> list[str]:
    """The last lines of the log; empty when there is none. Reads at most LOG_TAIL_BYTES."""
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            text = file.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def report(
    versions: Iterable[tuple[str, str]],
    display: Iterable[tuple[str, str]],
    places: Iterable[Place],
    connections: Sequence[Connected],
    log: Sequence[str],
    home: Path,
) -> str:
    """The whole text. Runs through ``redact`` at the end, whatever the parts contain."""
    sections = [
        ("Versions", [f"{name}: {version}" for name, version in versions]),
        ("Display", [f"{name}: {value}" for name, value in display]),
        ("Folders", [f"{place.name}: {place.path}" for place in places]),
        ("Connections", [connection_line(connected) for connected in connections] or ["none"]),
        (f"Log, last {len(log)} lines" if log else "Log", list(log) or ["none"]),
    ]
    text = "\n\n".join(
        f"{title}\n" + "\n".join(f"  {line}" for line in lines) for title, lines in sections
    )
    return redact(text.replace(str(home), "~")) + "\n"
