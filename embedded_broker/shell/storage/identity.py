"""Whose log directory it is (meta.properties), and what its voter has promised (quorum-state)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from embedded_broker.shell.storage import files
from kafka_protocol.records.checksum import crc32c

META = "meta.properties"
IDENTITY = "partition.metadata"
QUORUM_STATE = "quorum-state"
QUORUM_NUMBERS = {"leaderId": -1, "leaderEpoch": 0, "votedId": -1, "lives": 0}
"""The numbers in quorum-state, and the least value of each; all have 31 bits."""
CHECKSUM = "crc32c"
"""The field of quorum-state with the checksum of the others."""


class DirectoryRefused(Exception):
    """The log directory cannot be used; the text is a sentence for the operator."""


def identify(directory: Path, node_id: int, cluster_id: str) -> tuple[str, UUID]:
    """Return (cluster id, directory id) from meta.properties, which a new directory gets now.

    Raises:
        DirectoryRefused: of another cluster or broker, or nothing says of which.
        StorageFailed: it cannot be read or written.
    """
    meta = files.read_properties(directory / META)
    if meta or (directory / META).exists() or any(directory.glob(f"*/{IDENTITY}")):
        _check(directory, meta)
        owner, node = meta["cluster.id"], meta.get("node.id", meta.get("broker.id", ""))
        if cluster_id and owner != cluster_id:
            raise DirectoryRefused(
                f"the data directory {directory} belongs to cluster {owner}, "
                f"but this is cluster {cluster_id}"
            )
        if node != str(node_id):
            raise DirectoryRefused(
                f"the data directory {directory} belongs to broker {node}, "
                f"but this is broker {node_id}"
            )
        return owner, decode_uuid(meta["directory.id"])
    owner = cluster_id or encode_uuid(uuid4())
    directory_id = uuid4()
    values = {
        "version": "1",
        "cluster.id": owner,
        "node.id": str(node_id),
        "directory.id": encode_uuid(directory_id),
    }
    files.write_properties(directory / META, values)
    return owner, directory_id


def _check(directory: Path, meta: Mapping[str, str]) -> None:
    """Refuse a directory whose identity is lost: with a new one its broker would be another, and
    the replicas in it would count as whole."""
    try:
        decode_uuid(meta.get("directory.id", ""))
        node = meta.get("node.id", meta.get("broker.id", ""))
        damaged = not meta.get("cluster.id") or files.natural(node) is None
    except ValueError:
        damaged = True
    if damaged:
        raise DirectoryRefused(
            f"{directory / META} is damaged or missing: it must name the cluster.id, node.id "
            "and directory.id of the data beside it. Restore it, or empty the directory: the "
            "broker then fetches everything again"
        )


class StateDamaged(Exception):
    """quorum-state is not what a voter wrote; the text says how."""


def write_quorum_state(path: Path, state: Mapping[str, Any]) -> None:
    """Replace the state of the voter. It is on the disk when this returns.

    Raises:
        StorageFailed
    """
    text = json.dumps({**state, CHECKSUM: _checksum(state)})
    files.write_whole(path, text, durable=True)


def read_quorum_state(path: Path) -> dict[str, Any]:
    """Return the state of the voter; empty without a file, or with an empty one.

    Raises:
        StateDamaged: no voter wrote it.
        StorageFailed: it cannot be read.
    """
    text = files.read_rebuildable(path)
    if text is None and path.exists():
        raise StateDamaged("it is not text")
    if not text:
        return {}
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise StateDamaged(str(e)) from e
    if (
        not isinstance(state, dict)
        or not all(_fits(state.get(name, low), low) for name, low in QUORUM_NUMBERS.items())
        or type(state.get("forgetful", False)) is not bool
    ):
        raise StateDamaged(f"its content is {text[:100]!r}")
    checksum = state.pop(CHECKSUM, None)  # earlier versions wrote none
    if checksum is not None and checksum != _checksum(state):
        raise StateDamaged("its checksum is wrong")
    return state


def _checksum(state: Mapping[str, Any]) -> int:
    return crc32c(json.dumps(state, sort_keys=True).encode())


def _fits(value: object, least: int) -> bool:
    """Return whether a value is an integer of 31 bits, at least this one."""
    return type(value) is int and least <= value <= files.EPOCH_MAX


def field_of(text: str, name: str) -> str:
    """Return the value of a line ``name: value``. Raises: ValueError."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    raise ValueError(f"no {name}")


def new_cluster_id() -> str:
    """Return 16 random bytes as Kafka writes an id; not one that looks like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


def encode_uuid(value: UUID) -> str:
    """Encode an id as Kafka does: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def decode_uuid(text: str) -> UUID:
    """Decode an id as Kafka writes it. Raises: ValueError."""
    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))
