"""The damaged files of a cluster: a start is refused, with the file and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_broker import ClusterSpec
from embedded_broker.shell.layout import CLUSTER_FILE, ClusterDirectory, ClusterRefused


@pytest.fixture
def made(tmp_path: Path) -> ClusterSpec:
    spec = ClusterSpec(tmp_path / "c", brokers=1, port=0)
    ClusterDirectory(spec).release()
    return spec


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff\xfe\x00", b"[]", b"{", b"[" * 200_000),
        *(b'{"cluster_id": "x", "brokers": null}', b'{"cluster_id": "x", "brokers": Infinity}'),
        *(b'{"cluster_id": "x", "brokers": 0}', b'{"brokers": 1}'),
    ],
)
def test_that_a_damaged_identity_of_a_cluster_is_named(made: ClusterSpec, content: bytes) -> None:
    (made.directory / CLUSTER_FILE).write_bytes(content)
    with pytest.raises(ClusterRefused, match=r"cluster\.json is damaged.*restore it"):
        ClusterDirectory(made)


def as_a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def meta(made: ClusterSpec) -> Path:
    return made.directory / "broker-1" / "data" / "meta.properties"


@pytest.mark.parametrize(
    "place",
    [
        lambda made: made.directory / CLUSTER_FILE,
        lambda made: made.directory / "broker-1" / "server.properties",
        meta,
    ],
    ids=["cluster.json", "server.properties", "meta.properties"],
)
def test_that_a_file_that_cannot_be_read_or_written_is_named(
    made: ClusterSpec, place: Callable[[ClusterSpec], Path]
) -> None:
    path = place(made)
    as_a_folder(path)
    with pytest.raises(ClusterRefused) as refused:
        ClusterDirectory(made)
    assert str(path) in str(refused.value)


def test_that_a_cluster_whose_identity_is_gone_is_not_called_none(made: ClusterSpec) -> None:
    meta(made).parent.mkdir(parents=True, exist_ok=True)
    meta(made).write_text("cluster.id=x\n")
    (made.directory / CLUSTER_FILE).unlink()
    with pytest.raises(ClusterRefused, match=r"cluster\.json is missing.*restore it"):
        ClusterDirectory(made)
