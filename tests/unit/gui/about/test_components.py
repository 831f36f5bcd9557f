"""Versions and licences come from what is installed."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path

from gui.about import components


def test_that_every_runtime_dependency_is_listed_once() -> None:
    names = [components._name_of(c.name) for c in components.distributions()]
    assert len(set(names)) == len(names)
    direct = [
        components._name_of(line)
        for line in metadata.requires("kafkarium") or []
        if "extra ==" not in line
    ]
    assert set(direct) <= set(names)
    assert "pytest" not in names and "kafkarium" not in names


def test_that_dependencies_of_dependencies_are_listed() -> None:
    names = [components._name_of(c.name) for c in components.distributions()]
    assert "shiboken6" in names


def test_that_every_distribution_states_its_licence() -> None:
    missing = [c.name for c in components.distributions() if c.licence == components.UNKNOWN]
    assert not missing
    licences = {components._name_of(c.name): c.licence for c in components.distributions()}
    assert "LGPL-3.0" in licences["pyside6-essentials"]
    assert "MIT" in licences["pyqtgraph"]


def test_that_the_fonts_are_listed_with_their_licences() -> None:
    fonts = {c.name: c.licence for c in components.fonts()}
    assert set(fonts) == {"Inter (font)", "JetBrains Mono (font)"}
    assert set(fonts.values()) == {"SIL Open Font License, Version 1.1"}
    text = resources.files("resources").joinpath("fonts", "OFL.txt").read_text("utf-8")
    assert "SIL OPEN FONT LICENSE" in text
    assert all("http" not in licence for licence in fonts.values())


def test_that_a_licence_field_with_a_whole_text_gives_way_to_the_classifier(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "thing-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: thing\nVersion: 1\n"
        "License: Permission is hereby granted\n        to everybody\n"
        "Classifier: License :: OSI Approved :: MIT License\n"
    )
    assert components.licence_of(metadata.PathDistribution(folder).metadata) == "MIT License"


def test_that_the_versions_name_what_a_report_needs() -> None:
    versions = dict(components.versions())
    for name in ("Kafkarium", "Python", "Qt", "PySide6_Essentials", "pyqtgraph", "numpy"):
        assert versions[name], name
    assert versions["librdkafka"][0].isdigit()
