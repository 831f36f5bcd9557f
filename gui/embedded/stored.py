"""Clusters of our own on this machine: templates, where their data lives, what an earlier run
left."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

MARK = "kafkarium.json"
"""the file that makes a folder one of ours; without it nothing there is touched or removed"""


@dataclass(frozen=True, slots=True)
class Template:
    """``scenario`` names the traffic of ``kafka_client.demo``; empty for a cluster without."""

    name: str
    title: str
    brokers: int
    scenario: str = ""
    base_port: int = 19092
    settings: dict[str, str] = field(default_factory=dict)


TEMPLATES: dict[str, Template] = {
    t.name: t
    for t in (
        Template("notifications", "Notifications (demo)", 3, "notifications"),
        Template("single", "Single broker", 1, base_port=9092),
    )
}


@dataclass(frozen=True, slots=True)
class Leftover:
    """A cluster's folder from an earlier run."""

    directory: Path
    title: str
    template: str
    brokers: int
    size_bytes: int
    used_s: float

    @property
    def when(self) -> str:
        return time.strftime("%d %b %Y, %H:%M", time.localtime(self.used_s))


def data_root() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("kafkarium", appauthor=False), "clusters")


def leftovers(root: Path) -> list[Leftover]:
    """Newest first. A folder that cannot be read is left out."""
    found = []
    for mark in sorted(root.glob(f"*/{MARK}")):
        try:
            held = json.loads(mark.read_text(encoding="utf-8"))
            directory = mark.parent
            size = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
            found.append(
                Leftover(
                    directory,
                    str(held["title"])[:80],
                    str(held["template"]),
                    int(held["brokers"]),
                    size,
                    mark.stat().st_mtime,
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda held: -held.used_s)


def new_directory(root: Path, template: Template) -> tuple[Path, str]:
    """A folder of its own with the mark in it, and the title of the cluster. Raises: OSError."""
    taken = {path.name for path in root.glob("*")} if root.exists() else set()
    number = 1
    while f"{template.name}-{number}" in taken:
        number += 1
    directory = root / f"{template.name}-{number}"
    directory.mkdir(parents=True)
    title = (
        template.title
        if number == 1
        else re.sub(r"( \(|$)", f" {number}\\1", template.title, count=1)
    )
    write_mark(directory, title, template)
    return directory, title


def write_mark(directory: Path, title: str, template: Template) -> None:
    held = {"title": title, "template": template.name, "brokers": template.brokers}
    (directory / MARK).write_text(json.dumps(held), encoding="utf-8")


def touch(directory: Path) -> None:
    """It is used now."""
    (directory / MARK).touch()


def remove(directory: Path) -> None:
    """Raises: ValueError for a folder that is not one of ours, OSError."""
    if not (directory / MARK).is_file():
        raise ValueError(f"{directory} holds no cluster of Kafkarium's")
    shutil.rmtree(directory)
