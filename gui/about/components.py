"""Reads the versions and licences of Kafkarium's components from the installed metadata. No Qt."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path

NAME = "kafkarium"
UNKNOWN = "not stated"
NOTICES = Path(str(resources.files("resources").joinpath("THIRD-PARTY-NOTICES.txt")))
"""The licence texts of everything that Kafkarium runs with."""
_FONT_TITLE = re.compile(r"^(?P<name>\S.*?)\s*(?:\(.*\))?$")

SHOWN_FIRST = (
    "pyside6-essentials",
    "pyqtgraph",
    "numpy",
    "confluent-kafka",
    "qasync",
)
"""The libraries that a report needs; the others follow in the order of their names."""


@dataclass(frozen=True, slots=True)
class Component:
    """One distribution or font. ``licence`` is its SPDX expression where it states one."""

    name: str
    version: str
    licence: str


def own_version() -> str:
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "(not installed)"


@cache
def distributions() -> tuple[Component, ...]:
    """Every installed distribution that Kafkarium needs, directly or through another; itself not
    included."""
    names = sorted(name for name in _needed() if name != NAME)
    first = [name for name in SHOWN_FIRST if name in names]
    return tuple(_component(name) for name in [*first, *(n for n in names if n not in first)])


def _needed() -> Iterator[str]:
    """Normalised names, each once. A dependency of another platform is not installed: left out."""
    seen: set[str] = set()
    waiting = [NAME]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            required = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue
        yield name
        # "extra" in a requirement's marker: for tests and the like, not for running.
        waiting += [_name_of(line) for line in required if "extra ==" not in line]


def _name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def _component(name: str) -> Component:
    found = metadata.distribution(name)
    return Component(found.metadata["Name"], found.version, licence_of(found.metadata))


def licence_of(about: metadata.PackageMetadata) -> str:
    """The SPDX expression, else the licence field when it is a name and not a whole text, else
    the classifiers."""

    def field(name: str) -> str:
        return about[name].strip() if name in about else ""

    if expression := field("License-Expression"):
        return expression
    licence = field("License")
    if licence and "\n" not in licence and len(licence) <= 120:
        return licence
    classifiers = [
        line.rpartition("::")[2].strip()
        for line in about.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    return ", ".join(classifiers) or UNKNOWN


def fonts() -> tuple[Component, ...]:
    """The fonts that ship with Kafkarium, from the file that ships beside them: a title line
    without indent, then indented lines, the last of which names the licence."""
    text = resources.files("resources").joinpath("fonts", "LICENSES.txt").read_text("utf-8")
    found = []
    for block in text.strip().split("\n\n"):
        title, *lines = block.splitlines()
        if lines:
            licence = re.sub(r"\s*\(https?://\S+\)|, the text of which.*", "", lines[-1]).strip()
            match = _FONT_TITLE.match(title)
            found.append(Component(f"{match['name'] if match else title} (font)", "", licence))
    return tuple(found)


def versions() -> list[tuple[str, str]]:
    """(name, version) of the application, of Python, of Qt and of every library. Imports both
    Qt and the client library: for the window only."""
    from PySide6.QtCore import qVersion

    from kafka_client.versions import librdkafka_version

    lines = [
        ("Kafkarium", own_version()),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("Qt", qVersion()),
    ]
    for component in distributions():
        lines.append((component.name, component.version))
        if component.name == "confluent-kafka":
            lines.append(("librdkafka", librdkafka_version()))
    lines.append(("Operating system", platform.platform()))
    return lines
