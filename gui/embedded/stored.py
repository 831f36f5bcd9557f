"""Embedded clusters on disk: templates, and the folders that hold the data of clusters."""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gui.embedded.errors import EmbeddedError
from gui.embedded.templates import Template

MARK = "kafkarium.json"
"""The file that marks a folder as one of Kafkarium's; any other folder is never touched."""


@dataclass(frozen=True, slots=True)
class StoredCluster:
    """A cluster's folder that no session of this window has open. ``in_use``: another program,
    most likely another window, runs the cluster."""

    directory: Path
    title: str
    template: str
    brokers: int
    used_s: float
    in_use: bool = False

    @property
    def last_used(self) -> str:
        return time.strftime("%d %b %Y, %H:%M", time.localtime(self.used_s))


def data_root() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("kafkarium", appauthor=False), "clusters")


def cluster_folder(directory: Path) -> Path:
    """Return the folder inside it that holds the data of the cluster itself."""
    return directory / "cluster"


def stored_clusters(root: Path) -> list[StoredCluster]:
    """The clusters in the folder, last used first. A folder that cannot be read is left out."""
    clusters = []
    for mark in sorted(root.glob(f"*/{MARK}")):
        try:
            clusters.append(_read(mark))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(clusters, key=lambda cluster: -cluster.used_s)


def _read(mark: Path) -> StoredCluster:
    fields = json.loads(mark.read_text(encoding="utf-8"))
    directory = mark.parent
    return StoredCluster(
        directory,
        str(fields["title"])[:80],
        str(fields["template"]),
        int(fields["brokers"]),
        mark.stat().st_mtime,
        is_in_use(directory),
    )


def size_of(directory: Path) -> int:
    """Return the bytes of all files in the folder. Walks through all of them: not for the window's
    thread. Files that go meanwhile are left out."""
    size = 0
    for path in directory.rglob("*"):
        with suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def is_in_use(directory: Path) -> bool:
    """Return whether a program, this one included, runs the cluster in this folder or one of
    its brokers."""
    from embedded_broker import is_in_use as cluster_in_use

    return cluster_in_use(cluster_folder(directory))


def new_directory(root: Path, template: Template) -> tuple[Path, str]:
    """A new folder with the mark in it, and the title of the cluster. Raises: OSError."""
    taken = {path.name for path in root.glob("*")} if root.exists() else set()
    number = 1
    while f"{template.name}-{number}" in taken:
        number += 1
    directory = root / f"{template.name}-{number}"
    directory.mkdir(mode=0o700, parents=True)
    title = template.title
    if number > 1:  # "Notifications (demo)" becomes "Notifications 2 (demo)"
        title = re.sub(r"( \(|$)", f" {number}\\1", title, count=1)
    write_mark(directory, title, template)
    return directory, title


def write_mark(directory: Path, title: str, template: Template) -> None:
    fields = {"title": title, "template": template.name, "brokers": template.brokers}
    (directory / MARK).write_text(json.dumps(fields), encoding="utf-8")


def touch(directory: Path) -> None:
    """Note that the cluster is used now."""
    (directory / MARK).touch()


def remove(directory: Path) -> None:
    """Delete the cluster's data; not for the window's thread. Raises: EmbeddedError, and nothing
    was deleted when the folder is not one of Kafkarium's or the cluster runs."""
    if not (directory / MARK).is_file():
        raise EmbeddedError(f"{directory} is not a Kafkarium data folder.")
    if is_in_use(directory):
        raise EmbeddedError(
            f"The cluster in {directory} is running in another window; its data was not removed.",
            next_step="Close it there first.",
        )
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise EmbeddedError(
            f"The data in {directory} could not be removed: {error.strerror or error}."
        ) from error
