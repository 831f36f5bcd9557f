"""Write requirements/run.txt and requirements/test.txt: `make lock`, after constraints.txt or the
dependencies in pyproject.toml have changed.

A line for each package that is needed, with the version that constraints.txt pins, where it is
needed, and the hashes of the files that the package index has of it. `scripts/prepare.py` installs
nothing else (pip's --require-hashes).
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "linux": {"platform_system": "Linux", "os_name": "posix"},
    "darwin": {"platform_system": "Darwin", "os_name": "posix"},
    "win32": {"platform_system": "Windows", "os_name": "nt"},
}
Place = tuple[str, str]
"""(Python, system)"""
EVERYWHERE = frozenset(itertools.product(PYTHONS, SYSTEMS))
OTHER_PYTHONS = re.compile(r"-(pp\d|cp2|cp3[0-9]-|cp310-|graalpy)[^/]*\.whl$")
"""Wheels that none of PYTHONS can load; those of the stable ABI name an old Python and abi3."""
TOP_METADATA = r"[^/]*\.dist-info/METADATA"
"""Packages inside a wheel have one too."""
JSON = "application/vnd.pypi.simple.v1+json"


class Release(NamedTuple):
    """One version of a package on the index."""

    hashes: list[str]
    """SHA-256 of its files."""
    requires: list[Requirement]


def pins() -> dict[str, str]:
    """Name -> version of constraints.txt."""
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.strip() for name, version in pairs}


def index() -> str:
    """The address of the index that pip uses."""
    from pip._internal.models.index import PyPI

    return os.environ.get("PIP_INDEX_URL", PyPI.simple_url).rstrip("/")


def fetch(address: str, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(address, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: bytes = answer.read()
    return data


def files_of(name: str, version: str) -> list[dict[str, Any]]:
    """The index's files of a version. Raises: SystemExit when there are none."""
    listed = json.loads(fetch(f"{index()}/{name}/", JSON))["files"]
    files = [f for f in listed if _is_of(f["filename"], name, version) and not f.get("yanked")]
    if not files:
        sys.exit(f"lock: the index has no {name} {version}")
    return files


def release(name: str, version: str) -> Release:
    """Ask the index. Raises: SystemExit when it has no such version."""
    files = files_of(name, version)
    wheels = [f for f in files if f["filename"].endswith(".whl")]
    kept = [f for f in files if "abi3" in f["filename"] or not OTHER_PYTHONS.search(f["filename"])]
    requires: list[Requirement] = []
    if wheels:
        text = metadata_in(min(wheels, key=lambda file: int(file.get("size") or 0))["url"])
        requires = [Requirement(r) for r in re.findall(r"^Requires-Dist: (.*?)\r?$", text, re.M)]
    return Release(sorted(f["hashes"]["sha256"] for f in kept), requires)


def metadata_in(wheel: str) -> str:
    """The METADATA of a wheel at an address: by itself (PEP 658), else out of the wheel."""
    try:
        return fetch(f"{wheel}.metadata").decode()
    except urllib.error.HTTPError:
        with zipfile.ZipFile(io.BytesIO(fetch(wheel))) as archive:
            (name,) = (n for n in archive.namelist() if re.fullmatch(TOP_METADATA, n))
            return archive.read(name).decode()


def _is_of(filename: str, name: str, version: str) -> bool:
    stem, _, rest = filename.partition(f"-{version}")
    return canonicalize_name(stem) == name and rest.startswith(("-", ".tar.gz"))


def places_of(
    requirement: Requirement, extras: Iterable[str], within: frozenset[Place]
) -> set[Place]:
    """Where a requirement counts, of the places ``within``."""
    if requirement.marker is None:
        return set(within)
    found = set()
    for place in within:
        python, system = place
        environment: dict[str, Any] = {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "sys_platform": system,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            **SYSTEMS[system],
        }
        if any(requirement.marker.evaluate({**environment, "extra": e}) for e in ("", *extras)):
            found.add(place)
    return found


def needed(
    roots: list[Requirement], pinned: dict[str, str]
) -> dict[str, tuple[set[Place], Release]]:
    """Each package that ``roots`` need -> where, and its release."""
    found: dict[str, tuple[set[Place], Release]] = {}
    line = [(root, frozenset(places_of(root, (), EVERYWHERE))) for root in roots]
    seen = set()
    while line:
        requirement, places = line.pop()
        name = canonicalize_name(requirement.name)
        key = (name, places, frozenset(requirement.extras))
        if not places or key in seen:
            continue
        seen.add(key)
        if name not in pinned:
            sys.exit(f"lock: constraints.txt does not pin {name}")
        if name not in RELEASES:
            RELEASES[name] = release(name, pinned[name])
        found.setdefault(name, (set(), RELEASES[name]))[0].update(places)
        EXTRAS.setdefault(name, set()).update(requirement.extras)
        for inner in RELEASES[name].requires:
            line.append((inner, frozenset(places_of(inner, requirement.extras, places))))
    return found


RELEASES: dict[str, Release] = {}
EXTRAS: dict[str, set[str]] = {}
"""By package: those that others need of it. pip wants them named where it wants hashes."""


def marker(places: set[Place]) -> str:
    """A marker that holds in exactly these places; empty for everywhere."""
    if places >= EVERYWHERE:
        return ""
    systems = sorted({s for _, s in places})
    pythons = sorted({p for p, _ in places})
    of_systems = " or ".join(f"sys_platform == '{s}'" for s in systems)
    of_pythons = " or ".join(f"python_version == '{p}'" for p in pythons)
    if places == set(itertools.product(pythons, systems)):
        if len(systems) == len(SYSTEMS):
            return f" ; {of_pythons}"
        if len(pythons) == len(PYTHONS):
            return f" ; {of_systems}"
    pairs = (f"(sys_platform == '{s}' and python_version == '{p}')" for p, s in sorted(places))
    return f" ; {' or '.join(pairs)}"


def write(path: Path, roots: list[Requirement], pinned: dict[str, str]) -> None:
    lines = [f"# Written by scripts/lock.py (make lock) from {', '.join(SOURCES)}."]
    for name, (places, found) in sorted(needed(roots, pinned).items()):
        extras = f"[{','.join(sorted(EXTRAS[name]))}]" if EXTRAS[name] else ""
        lines.append(f"{name}{extras}=={pinned[name]}{marker(places)} \\")
        lines.append(" \\\n".join(f"    --hash=sha256:{digest}" for digest in found.hashes))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


SOURCES = ("pyproject.toml", "constraints.txt")


def main() -> None:
    declared = tomllib.loads((TOP / "pyproject.toml").read_text())
    project = declared["project"]
    building = declared["build-system"]["requires"]
    run = [Requirement(r) for r in (*project["dependencies"], *building)]
    test = [Requirement(r) for r in project["optional-dependencies"]["test"]]
    pinned = {**pins(), "setuptools": building[0].split("==")[1]}
    write(TOP / "requirements" / "run.txt", run, pinned)
    write(TOP / "requirements" / "test.txt", run + test, pinned)


if __name__ == "__main__":
    main()
