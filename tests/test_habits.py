"""Habits that a program can check: counting in words, honest citations, used dependencies, tests
that cover every module and swallow no exception.

``tests/test_layout.py`` holds the rules about who may do what. An exception stands in one of the
dictionaries, each with its reason beside it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOMS, TOP, imports, module_name, python_files, tracked, tree

# ---- counting in words: "1 broker is", "3 brokers are"

COUNTED_NOUNS = (
    "brokers topics partitions replicas groups members records messages settings clusters "
    "consumers producers entries rows connections jobs leaders offsets files samples events "
    "nodes changes headers columns controllers"
).split()
COUNTS_ALLOWED: dict[str, str] = {
    "embedded_broker/core/controller/topics.py": "messages of Apache Kafka, word for word",
}
"""Kept short: use ``resources.wording.counted``."""


def hand_made_counts(path: str) -> Iterator[str]:
    """``partition(s)`` in a text, and a number followed by a noun that is always in the plural."""
    whole = tree(path)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(whole)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    told_apart = {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.IfExp | ast.If)
        and re.search(r"(==|>|!=) 1\b|^one$", ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(whole):
        if id(node) in told_apart:
            continue
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                if re.search(r"[a-z]\(e?s\)", text):
                    yield f"{path}:{node.lineno} {text[:60]!r}"
            case ast.JoinedStr(values=parts):
                for before, part, after in zip([None, *parts], parts, parts[1:], strict=False):
                    if _always_plural(before, part, after):
                        yield f"{path}:{node.lineno} {ast.unparse(node)[:80]}"


def _always_plural(before: ast.expr | None, part: ast.expr, after: ast.expr) -> bool:
    """``{number} brokers``. A part of a whole (``{up}/{all} brokers``, ``3 of {all} brokers``), a
    rate (``{rate} records/s``) and a constant are no counts."""
    match part, after:
        case ast.FormattedValue(value=value), ast.Constant(value=str(text)):
            fraction = isinstance(before, ast.Constant) and re.search(
                r"(/| of (the )?)$", str(before.value)
            )
            rate = re.match(r" [a-z]+/", text)
            verb = re.match(r"(\w+\.)?(verb|counted)\(", ast.unparse(value))
            constant = re.fullmatch(r"(\w+\.)*[A-Z_]+", ast.unparse(value))
            word = re.match(r" ([a-z]+)\b", text)
            countable = word and word[1] in COUNTED_NOUNS and not rate
            return bool(countable and not fraction and not constant and not verb)
    return False


def test_that_things_are_counted_in_words_in_one_way() -> None:
    found = [
        place
        for path in python_files(*ROOMS)
        if path not in COUNTS_ALLOWED
        for place in hand_made_counts(path)
    ]
    assert not found, f"use resources.wording or widgets.figures: {found}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("f'{n} brokers are down'", True),
        ("f'{len(names):,} topics'", True),
        ("text = 'deleted topic(s)'", True),
        ("f'{up}/{total} brokers'", False),
        ("f'{MOST} records at most'", False),
        ("f'{few} of {total} partitions'", False),
        ("'one broker' if n == 1 else f'all {n} brokers'", False),
        ("f'{rate} records/s'", False),
        ("f'{name} is gone'", False),
        ("counted(n, 'broker')", False),
    ],
)
def test_that_a_hand_made_plural_is_noticed(
    source: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_habits.tree", lambda _: ast.parse(source))
    assert bool(list(hand_made_counts("some.py"))) == found


# ---- what is written is true


def test_that_a_link_of_a_document_leads_somewhere() -> None:
    found = []
    for path in tracked():
        if path.endswith(".md"):
            text = (TOP / path).read_text(encoding="utf-8")
            for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
                if not (TOP / path).parent.joinpath(target).exists():
                    found.append(f"{path}: {target}")
    assert not found, found


def test_that_every_decision_is_in_the_index() -> None:
    index = (TOP / "docs/decisions/README.md").read_text(encoding="utf-8")
    pages = [Path(p).name for p in tracked() if re.match(r"docs/decisions/\d{4}-", p)]
    missing = [page for page in pages if page not in index]
    assert not missing, f"add them to docs/decisions/README.md: {missing}"
    numbers = [page[:4] for page in pages]
    assert len(set(numbers)) == len(numbers), "two decisions have the same number"


def test_that_every_target_that_a_document_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.M))
    found = []
    for path in tracked():
        if path.endswith(".md"):
            text = (TOP / path).read_text(encoding="utf-8")
            for name in re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.M):
                if name not in targets:
                    found.append(f"{path}: make {name}")
    assert not found, found


# ---- the wall clock, which may leap by years

WALL_CLOCK_ALLOWED: dict[str, str] = {
    "gui/configuration/page.py": "shows when the settings were read",
    "gui/messages/detail.py": "the age of a record, whose timestamp is wall time",
    "gui/messages/record_columns.py": "leaves out the date of today",
    "gui/messages/scan_fields.py": "proposes a start time that the person may change",
    "gui/sampling.py": "reads the changes of the last hour",
    "gui/watchdog.py": "shows when the window stalled",
    "kafka_client/demo/producer.py": "writes it into the records",
    "kafka_client/gateway.py": "the time of an entry; the journal orders by number",
    "kafka_client/history.py": "times of rows; BelievedClock deletes, a steady clock schedules",
    "kafka_client/sampling/sampler.py": "times of samples; a steady clock schedules and measures",
    "kafka_client/sqlite_file.py": "a part of a file's name",
    "kafka_client/wire/metadata.py": "the time of a snapshot",
    "widgets/chart_clock.py": "the right edge of live charts, on the axis of the samples",
}
"""Intervals, ages, schedules and orders take ``time.monotonic`` or ``steady_s``."""


def test_that_the_wall_clock_is_read_only_where_a_leap_does_no_harm() -> None:
    found = {
        path
        for path in python_files("gui", "widgets", "kafka_client")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow")
    }
    assert found == set(WALL_CLOCK_ALLOWED), found ^ set(WALL_CLOCK_ALLOWED)


# ---- dependencies and dead code

IMPORTED_AS = {
    "pyside6-essentials": "PySide6",
    "confluent-kafka": "confluent_kafka",
    "typing-extensions": "typing_extensions",
}
"""Distribution -> module, where the names differ."""


def test_that_production_code_imports_every_runtime_dependency() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[^A-Za-z0-9_-]", line, maxsplit=1)[0] for line in project["dependencies"]}
    imported = {
        module.split(".")[0].lower()
        for path in python_files(*ROOMS)
        for _, module, _ in imports(path)
    }
    unused = [
        name
        for name in sorted(wanted)
        if IMPORTED_AS.get(name.lower(), name).lower() not in imported
    ]
    assert not unused, f"remove them from pyproject.toml: {unused}"


def test_that_every_allowed_dead_name_is_still_in_the_code() -> None:
    """What was removed needs no exception any more."""
    path = "scripts/dead_code_allowed.py"
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
    } - {"_"}
    text = "\n".join((TOP / p).read_text(encoding="utf-8") for p in python_files(*ROOMS))
    words = set(re.findall(r"\w+", text))
    gone = sorted(names - words)
    assert not gone, f"remove them from {path}: {gone}"


# ---- tests


def test_that_a_test_imports_every_module_of_gui() -> None:
    imported = set()
    for path in python_files("tests"):
        for _, module, name in imports(path):
            imported |= {module, f"{module}.{name}"}
    modules = {module_name(p) for p in python_files("gui") if not p.endswith("__init__.py")}
    missing = sorted(modules - imported)
    assert not missing, f"test them: {missing}"


def test_that_no_test_swallows_an_exception_by_its_text() -> None:
    """``except X as e: if "..." in str(e)`` hides what else is wrong: use pytest.raises(match=)."""
    found = []
    for path in python_files("tests"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and node.name:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.If) and f"str({node.name})" in ast.unparse(inner.test):
                        found.append(f"{path}:{inner.lineno}")
    assert not found, found


def test_that_no_test_swallows_every_exception() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
    ]
    assert not found, found
