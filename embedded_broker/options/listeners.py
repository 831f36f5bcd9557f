"""Parsing of listeners, advertised.listeners and listener.security.protocol.map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedded_broker.options.option import SettingError

PROTOCOLS = {"PLAINTEXT": 0, "SSL": 1, "SASL_PLAINTEXT": 2, "SASL_SSL": 3}


@dataclass(frozen=True, slots=True)
class Listener:
    """One address on which a broker listens, or that it advertises to clients.

    ``security_protocol`` is one of PROTOCOLS. An empty host means every address of the machine.
    """

    name: str
    host: str
    port: int
    security_protocol: str = "PLAINTEXT"


def parse_address(text: str, key: str) -> tuple[str, int]:
    """Parse ``host:port``, with an IPv6 host in brackets. Raises: SettingError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise SettingError(f"{key}={text}: allowed is host:port with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingError(f"{key}={text}: write an IPv6 address in brackets, [{host}]:{port}")
    return host, int(port)


def parse_protocol_map(parts: Sequence[str]) -> dict[str, str]:
    """Parse NAME:PROTOCOL parts into a dictionary with names in upper case.

    Raises:
        SettingError: malformed, an unknown protocol, or a repeated name.
    """
    found: dict[str, str] = {}
    for part in parts:
        name, colon, protocol = part.partition(":")
        name, protocol = name.strip().upper(), protocol.strip().upper()
        if not colon or protocol not in PROTOCOLS:
            raise SettingError(
                f"listener.security.protocol.map={part}: allowed is NAME:PROTOCOL "
                f"with one of {', '.join(PROTOCOLS)}"
            )
        if name in found:
            raise SettingError(f"listener.security.protocol.map names {name} twice")
        found[name] = protocol
    return found


def parse_listeners(
    parts: Sequence[str], protocols: dict[str, str], key: str
) -> tuple[Listener, ...]:
    """Parse NAME://host:port parts; ``key`` is the setting that they come from.

    Raises:
        SettingError: malformed, a name without a protocol, or a repeated name or port.
    """
    found: list[Listener] = []
    for part in parts:
        name, slashes, address = part.partition("://")
        name = name.strip().upper()
        if not slashes or not name:
            raise SettingError(f"{key}={part}: allowed is NAME://host:port")
        if name not in protocols:
            raise SettingError(
                f"{key}={part}: listener.security.protocol.map has no protocol for {name}"
            )
        host, port = parse_address(address, key)
        if any(other.name == name for other in found):
            raise SettingError(f"{key} names the listener {name} twice")
        for other in found:
            if key == "listeners" and port and other.port == port and _overlap(other.host, host):
                raise SettingError(
                    f"{key}: {other.name} and {name} both use port {port}; "
                    "each listener needs its own"
                )
        found.append(Listener(name, host, port, protocols[name]))
    if not found:
        raise SettingError(f"{key} is empty: allowed is NAME://host:port, ...")
    return tuple(found)


def _overlap(one: str, other: str) -> bool:
    """Return whether two hosts share an address."""
    anywhere = ("", "0.0.0.0", "::")
    return one == other or one in anywhere or other in anywhere
