"""Write resources/THIRD-PARTY-NOTICES.txt: `make notices`, after requirements/run.txt has changed.

The licence texts of every package that Kafkarium runs with, out of the wheels that the package
index has of it. Qt's wheels have none: theirs are in resources/licences.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from pathlib import Path

from lock import TOP, files_of, metadata_in

NOTICES = TOP / "resources" / "THIRD-PARTY-NOTICES.txt"
TEXTS = TOP / "resources" / "licences"
LICENCE = re.compile(r"[^/]*\.dist-info/.*(?:licen[cs]e|copying|notice|authors)[^/]*", re.I)
OF_QT = ("LGPL-3.0.txt", "GPL-3.0.txt")
WITHOUT_TEXT = {"pyside6-essentials": OF_QT, "shiboken6": OF_QT}
RULE = "=" * 100
HEAD = """\
Third-party notices of Kafkarium

Kafkarium itself is under the Apache License 2.0 (LICENSE). It runs with the packages below, which
are installed beside it, unchanged, from their own distributions. Each stays under its own licence,
whose text follows.

PySide6 (with Qt) and shiboken6 are used under the LGPL 3.0, crc32c under the LGPL 2.1 or later.
They are separate packages that Kafkarium loads at run time: whoever has Kafkarium may replace
them by changed versions of the same interface, with pip or in the environment's site-packages, and
may study and debug Kafkarium for that. Their sources are published by the same projects.

Fonts and their licences: resources/fonts.
"""


def locked() -> list[tuple[str, str]]:
    """(name, version) of requirements/run.txt."""
    text = (TOP / "requirements" / "run.txt").read_text()
    return re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.M)


def notice(name: str, version: str) -> str:
    """The licence of a package, as a section. Raises: SystemExit when it has no text."""
    wheels = [f for f in files_of(name, version) if f["filename"].endswith(".whl")]
    smallest = min(wheels, key=lambda file: int(file.get("size") or 0))
    if name in WITHOUT_TEXT:
        about = metadata_in(smallest["url"])
        texts = [f"See {text} at the end." for text in WITHOUT_TEXT[name]]
    else:
        about, texts = in_wheel(smallest["url"])
    if not texts:
        sys.exit(f"notices: the wheel of {name} {version} has no licence text")
    field = re.search(r"^License-Expression: (.*?)\r?$|^License: (.{1,80}?)\r?$", about, re.M)
    stated = f" ({field.group(1) or field.group(2)})" if field else ""
    return "\n\n".join((f"{RULE}\n{name} {version}{stated}\n{RULE}", *texts))


def in_wheel(address: str) -> tuple[str, list[str]]:
    """(METADATA, licence texts) of a wheel."""
    from lock import TOP_METADATA, fetch

    with zipfile.ZipFile(io.BytesIO(fetch(address))) as archive:
        names = sorted(archive.namelist())
        about = next(n for n in names if re.fullmatch(TOP_METADATA, n))
        texts = [archive.read(n).decode("utf-8", "replace") for n in names if LICENCE.fullmatch(n)]
        return archive.read(about).decode(), [clean(text) for text in texts]


def clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\f", "\n").splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def main() -> None:
    sections = [HEAD.rstrip("\n"), *(notice(*package) for package in locked())]
    for name in OF_QT:
        sections.append(f"{RULE}\n{name}\n{RULE}\n\n{clean((TEXTS / name).read_text())}")
    NOTICES.write_text("\n\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
