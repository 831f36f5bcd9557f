"""The files of this repository and their syntax trees, for the tests that read sources."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
ROOMS = ("gui", "widgets", "kafka_client", "embedded_broker", "kafka_protocol", "resources")


@cache
def tracked() -> list[str]:
    """Paths of the files under version control that exist, `/` between the parts."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git work tree")
    return sorted(path for path in set(listed.stdout.splitlines()) if (TOP / path).is_file())


@cache
def python_files(*rooms: str) -> list[str]:
    return [
        path
        for path in tracked()
        if path.endswith(".py") and path.startswith(tuple(f"{r}/" for r in rooms))
    ]


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((TOP / path).read_text(encoding="utf-8"), path)


def calls(path: str) -> Iterator[tuple[int, str, str]]:
    """(line, what stands before the dot, called name) of every call in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    yield node.lineno, "", name
                case ast.Attribute(value=value, attr=name):
                    yield node.lineno, ast.unparse(value), name


def imports(path: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, absolute module, name taken from it or None) of every import in a file."""
    package = list(Path(path).parent.parts)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, module, alias.name


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
