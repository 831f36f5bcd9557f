"""What code and tests cite is in the repository: documents, decisions, and the numbers of
docs/reliability.md."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.sources import ROOMS, TOP, python_files, tracked

RELIABILITY = "docs/reliability.md"
TEST_NAME = re.compile(r"\bdef test_rows?((?:_\d\d)+)_")
ROW = re.compile(r"\brows? (\d+)")
CHECK = re.compile(r"\b([CFR]\d{1,2})\b")
DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
DECISION = re.compile(r"\bdecisions? (?:record )?(\d{4})\b", re.IGNORECASE)
CITES_ROWS = ("embedded_broker/", "tests/integration/", "tests/unit/embedded_broker/")
CITES_CHECKS = ("embedded_broker/simulator/", "tests/simulation/")


@cache
def text(path: str) -> str:
    return (TOP / path).read_text(encoding="utf-8")


@cache
def numbers() -> set[str]:
    """The first column of every table in docs/reliability.md."""
    return set(re.findall(r"^\| (\w+) \|", text(RELIABILITY), re.MULTILINE))


def _tested_rows() -> set[int]:
    """Rows that a test names, in its name or in a case of its table."""
    found: set[int] = set()
    for path in python_files("tests"):
        for match in TEST_NAME.finditer(text(path)):
            found |= {int(number) for number in match[1].strip("_").split("_")}
        found |= {int(row) for row in re.findall(r'"row (\d+):', text(path))}
    return found


def test_that_every_cited_row_is_in_the_table() -> None:
    missing = [
        f"{path}: row {row}"
        for path in python_files(*ROOMS, "tests")
        if path.startswith(CITES_ROWS)
        for row in ROW.findall(text(path))
        if row not in numbers()
    ]
    missing += [f"row {row}" for row in _tested_rows() if str(row) not in numbers()]
    assert not missing, f"{RELIABILITY} has no {missing}"


def test_that_every_row_has_a_test_or_says_why_not() -> None:
    table = text(RELIABILITY)
    applicable = {
        int(row)
        for row, rest in re.findall(r"^\| (\d+) \|(.*)$", table, re.MULTILINE)
        if "not applicable" not in rest
    }
    assert applicable == _tested_rows()


def test_that_every_cited_check_and_family_is_in_the_document() -> None:
    missing = [
        f"{path}: {name}"
        for path in python_files("embedded_broker", "tests")
        if path.startswith(CITES_CHECKS)
        for name in CHECK.findall(text(path))
        if name not in numbers()
    ]
    assert not missing, f"{RELIABILITY} has no {missing}"


def test_that_every_cited_document_exists() -> None:
    names = {Path(path).name for path in tracked()}
    missing = [
        f"{path}: {document}"
        for path in [*python_files(*ROOMS, "tests", "scripts"), *_documents()]
        for document in DOCUMENT.findall(text(path))
        if not (TOP / document).is_file() and Path(document).name not in names
    ]
    assert not missing, missing


def test_that_every_cited_decision_exists() -> None:
    decisions = {path.name[:4] for path in (TOP / "docs/decisions").iterdir()}
    missing = [
        f"{path}: decision {number}"
        for path in [*python_files(*ROOMS, "tests", "scripts"), *_documents()]
        for number in DECISION.findall(text(path))
        if number not in decisions
    ]
    assert not missing, missing


def _documents() -> list[str]:
    return [path for path in tracked() if path.endswith(".md")]
