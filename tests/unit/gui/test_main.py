"""The command line: what is started by which arguments, and what a wrong one is answered."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence

import pytest

from gui import main as command
from gui.main import COMMANDS, EXIT_NO_DISPLAY, EXIT_USAGE, main


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, str]]:
    """The arguments with which the window would have been opened."""
    calls: list[tuple[bool, str]] = []

    def window(demo: bool = False, bootstrap: str = "") -> int:
        calls.append((demo, bootstrap))
        return 0

    monkeypatch.setattr(command, "window", window)
    return calls


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], (False, "")),
        (["window"], (False, "")),
        (["--demo"], (True, "")),
        (["window", "--demo"], (True, "")),
        (["--demo", "window"], (True, "")),
        (["--bootstrap", "a:9092,b:9092"], (False, "a:9092,b:9092")),
        (["window", "--bootstrap", "a:9092"], (False, "a:9092")),
        (["--connect", "a:9092"], (False, "a:9092")),
    ],
)
def test_that_the_window_is_the_default_command(
    opened: list[tuple[bool, str]], words: list[str], wanted: tuple[bool, str]
) -> None:
    assert main(words) == 0
    assert opened == [wanted]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_that_a_command_gets_its_own_arguments(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    received: list[list[str]] = []
    monkeypatch.setattr(command, "start_log", lambda _: None)

    def run(rest: Sequence[str]) -> int:
        received.append(list(rest))
        return 7

    monkeypatch.setitem(COMMANDS, name, (run, ""))
    assert main([name, "--help", "x"]) == 7
    assert received == [["--help", "x"]]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["foo"], "'foo'"),
        (["--dem"], "--dem"),
        (["--demo", "--bootstrap", "a:9092"], "not allowed with"),
        (["--bootstrap"], "expected one argument"),
        (["window", "extra"], "extra"),
    ],
)
def test_that_a_wrong_argument_is_named_in_one_line(
    opened: list[tuple[bool, str]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    reason: str,
) -> None:
    assert main(words) == EXIT_USAGE
    error = capsys.readouterr().err
    assert reason in error and error.startswith("kafkarium: ") and error.count("\n") == 1
    assert not opened


def test_that_a_wrong_address_is_refused_before_a_window_opens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--bootstrap", "a:99999"]) == EXIT_USAGE
    assert "a:99999" in capsys.readouterr().err


def test_that_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("window", *COMMANDS, "--demo", "--bootstrap", "--version"):
        assert name in text


def test_that_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert importlib.metadata.version("kafkarium") in capsys.readouterr().out


def test_that_without_a_display_the_other_commands_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "has_display", lambda: False)
    assert main([]) == EXIT_NO_DISPLAY
    assert "kafkarium lag" in capsys.readouterr().err


def test_that_help_imports_neither_qt_nor_the_client() -> None:
    code = (
        "import sys; from gui.main import main; main(['--help']);"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in"
        " {'PySide6', 'confluent_kafka', 'numpy', 'kafka_client', 'embedded_broker'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
