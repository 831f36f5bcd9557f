from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_broker.shell.layout import LOCK_FILE
from gui.client_bridge import ClientBridge
from gui.embedded.errors import EmbeddedError
from gui.embedded.manager import EmbeddedClusters
from gui.embedded.stored import cluster_folder, new_directory, remove, stored_clusters
from gui.embedded.templates import TEMPLATES

HOLD_LOCK = """
import sys
from pathlib import Path
from embedded_broker.shell.platform import lock_file
lock_file(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Path]:
    """The folder of a cluster that another process has locked, as a second window does."""
    directory, _ = new_directory(tmp_path, TEMPLATES["notifications"])
    cluster_folder(directory).mkdir()
    lock = cluster_folder(directory) / LOCK_FILE
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    yield directory
    holder.communicate()


def test_that_each_cluster_has_a_folder_and_a_title_of_its_own(tmp_path: Path) -> None:
    first, first_title = new_directory(tmp_path, TEMPLATES["notifications"])
    second, second_title = new_directory(tmp_path, TEMPLATES["notifications"])
    assert first != second
    assert (first_title, second_title) == ("Notifications (demo)", "Notifications 2 (demo)")
    assert {cluster.title for cluster in stored_clusters(tmp_path)} == {first_title, second_title}


def test_that_only_a_folder_of_kafkarium_is_removed(tmp_path: Path) -> None:
    foreign = tmp_path / "precious"
    foreign.mkdir()
    with pytest.raises(EmbeddedError, match="not a Kafkarium data folder"):
        remove(foreign)
    assert foreign.exists() and stored_clusters(tmp_path) == []
    directory, _ = new_directory(tmp_path, TEMPLATES["single"])
    remove(directory)
    assert not directory.exists()


def test_that_a_damaged_mark_is_left_alone(tmp_path: Path) -> None:
    directory, _ = new_directory(tmp_path, TEMPLATES["single"])
    (directory / "kafkarium.json").write_text('{"title": 5}')
    assert stored_clusters(tmp_path) == []
    assert directory.exists()


def test_that_the_data_of_a_cluster_of_another_window_is_not_removed(in_use: Path) -> None:
    (cluster,) = stored_clusters(in_use.parent)
    assert cluster.in_use
    with pytest.raises(EmbeddedError, match="running in another window"):
        remove(in_use)
    assert cluster_folder(in_use).exists()


def test_that_a_demo_is_not_started_again_while_another_window_runs_it(
    bridge: ClientBridge, in_use: Path
) -> None:
    clusters = EmbeddedClusters(bridge, in_use.parent)
    assert clusters.newest("notifications") is None
    second, _ = new_directory(in_use.parent, TEMPLATES["notifications"])
    newest = clusters.newest("notifications")
    assert newest is not None and newest.directory == second
