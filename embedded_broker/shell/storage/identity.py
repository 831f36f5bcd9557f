"""Whose log directory it is (meta.properties), and what its voter has promised (quorum-state)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from embedded_broker.core.ports import StorageFailed
from embedded_broker.shell.storage import files

META = "meta.properties"
IDENTITY = "partition.metadata"
QUORUM_STATE = "quorum-state"
QUORUM_NUMBERS = {"leaderId": -1, "leaderEpoch": 0, "votedId": -1, "lives": 0}
"""The numbers in quorum-state, and the least value of each; all have 31 bits."""


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
        owner, node = meta.get("cluster.id", ""), meta.get("node.id", meta.get("broker.id", ""))
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
        damaged = not meta.get("cluster.id")
    except ValueError:
        damaged = True
    if damaged:
        raise DirectoryRefused(
            f"{directory / META} is damaged or missing: it must name the cluster.id, node.id "
            "and directory.id of the data beside it. Restore it, or empty the directory: the "
            "broker then fetches everything again"
        )


def read_quorum_state(path: Path) -> dict[str, Any]:
    """Return the state of the voter; empty without a file, or with an empty one.

    Raises:
        StorageFailed: it cannot be read, or no voter wrote it. A vote that was given must not be
            forgotten, so it is not replaced.
    """
    text = files.read_text(path)
    if not text:
        return {}
    try:
        state = json.loads(text)
    except ValueError as e:
        raise StorageFailed(f"cannot read {path}: {e}") from e
    if (
        not isinstance(state, dict)
        or not all(_fits(state.get(name, low), low) for name, low in QUORUM_NUMBERS.items())
        or type(state.get("forgetful", False)) is not bool
    ):
        raise StorageFailed(f"{path} is damaged: {text[:100]!r}")
    return state


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
