"""The rules of the house that a program can check: sizes, banned calls and imports, strays, names
that must not leak.

Who may import whom at the level of packages is import-linter's (`make contracts`); this file
holds the rest. An exception stands in one of the dictionaries, each with its reason beside it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.sources import ROOMS, TOP, calls, imports, module_name, python_files, tracked, tree

LINES_MAX = 500

LONGER_ON_PURPOSE: dict[str, str] = {
    "tests/performance/painter_of_reference.py": "kept as it was, to compare with",
}

# core and kafka_protocol decide; they get time, chance, ids and bytes handed in.
PURE = ("embedded_broker/core/", "kafka_protocol/")
BANNED_IN_PURE = frozenset(
    "asyncio socket select selectors ssl threading multiprocessing concurrent subprocess time "
    "random os pathlib io tempfile shutil uuid secrets logging datetime".split()
)
PURE_EXCEPTIONS: dict[str, set[str]] = {}

EXEC_ALLOWED: dict[str, str] = {
    "gui/event_loop.py": "lets cancelled tasks end, outside every task, before the loop is closed",
}
SLEEP_ALLOWED: dict[str, str] = {
    "embedded_broker/shell/admin.py": "between two attempts, in the thread of a caller that waits",
}
ASYNCIO_TIMES_ALLOWED: dict[str, str] = {
    "gui/messages/runner.py": "on the client thread's own loop: waits for room in the feed",
}
BUILTIN_EXEC_ALLOWED = {
    "kafka_protocol/source.py": "readers and writers are generated from our own declarations",
}

# Modules that no import statement names.
ENTRY_POINTS = {
    "embedded_broker.shell.command": "python -m, and kafkarium's cluster command",
    "embedded_broker.shell.zygote": "python -m, by its launcher",
    "gui.main": "console script",
}

# Text that came from a cluster is plain text: these show markup.
MARKUP_CALLS = {"setHtml", "appendHtml", "insertHtml", "setMarkdown", "insertMarkdown"}
MARKUP_NAMES = {"QTextBrowser", "RichText", "MarkdownText", "AutoText"}
MARKUP_ALLOWED: dict[str, str] = {}


def test_that_no_file_is_longer_than_one_reads_at_a_sitting() -> None:
    lengths = {
        p: len((TOP / p).read_text(encoding="utf-8").splitlines())
        for p in python_files(*ROOMS, "tests")
    }
    too_long = {p: n for p, n in lengths.items() if n > LINES_MAX and p not in LONGER_ON_PURPOSE}
    assert not too_long, (
        f"cut where the words change, or give a reason in LONGER_ON_PURPOSE: {too_long}"
    )


def test_that_the_core_imports_neither_clock_nor_chance_nor_io() -> None:
    found = [
        f"{path}:{line} {module}"
        for path in python_files("embedded_broker", "kafka_protocol")
        if path.startswith(PURE)
        for line, module, name in imports(path)
        if module.split(".")[0] in BANNED_IN_PURE - PURE_EXCEPTIONS.get(path, set())
        if (module, name) != ("uuid", "UUID")  # the type alone; ids are handed in
    ]
    assert not found, found


def test_that_no_dialog_runs_a_loop_of_its_own() -> None:
    found = [
        f"{path}:{line} {owner}.{name}()"
        for path in python_files("gui", "widgets")
        if path not in EXEC_ALLOWED
        for line, owner, name in calls(path)
        if owner and name in {"exec", "exec_", "processEvents"}
    ]
    assert not found, f"open() a dialog and await its finished signal: {found}"


def test_that_nothing_sleeps_a_thread() -> None:
    found = [
        f"{path}:{line}"
        for path in python_files(*ROOMS)
        if path not in SLEEP_ALLOWED
        for line, owner, name in calls(path)
        if (owner, name) == ("time", "sleep")
    ]
    found += [
        f"{path}:{line}"
        for path in python_files(*ROOMS)
        for line, module, name in imports(path)
        if (module, name) == ("time", "sleep")
    ]
    assert not found, found


def test_that_the_window_times_with_qt() -> None:
    """qasync rounds a delay down to whole milliseconds, and a small one to none."""
    times = {"sleep", "call_later", "call_at", "wait_for", "timeout", "timeout_at"}
    found = [
        f"{path}:{line} {owner}.{name}()"
        for path in python_files("gui", "widgets")
        if path not in ASYNCIO_TIMES_ALLOWED
        for line, owner, name in calls(path)
        if name in times and (owner == "asyncio" or owner.endswith("loop"))
    ]
    assert not found, f"await gui.tasks.after(), or wait on the client thread: {found}"


def test_that_only_the_window_uses_qasync() -> None:
    found = [
        f"{path}:{line}"
        for path in python_files(*ROOMS, "tests")
        if path != "gui/event_loop.py"
        for line, module, _ in imports(path)
        if module.split(".")[0] == "qasync"
    ]
    assert not found, f"gui.event_loop makes the window's loop: {found}"


def test_that_nothing_evaluates_text_as_python() -> None:
    found = [
        f"{path}:{line} {name}()"
        for path in python_files(*ROOMS)
        if path not in BUILTIN_EXEC_ALLOWED
        for line, owner, name in calls(path)
        if owner in {"", "builtins"} and name in {"eval", "exec"}
    ]
    assert not found, found


def test_that_what_a_cluster_says_is_never_markup() -> None:
    found = []
    for path in python_files("gui", "widgets"):
        if path in MARKUP_ALLOWED:
            continue
        found += [
            f"{path}:{line} {name}()" for line, _, name in calls(path) if name in MARKUP_CALLS
        ]
        for node in ast.walk(tree(path)):
            name = (
                node.id
                if isinstance(node, ast.Name)
                else node.attr
                if isinstance(node, ast.Attribute)
                else ""
            )
            if name in MARKUP_NAMES:
                found.append(f"{path}:{getattr(node, 'lineno', 0)} {name}")
    assert not found, f"use plain text: {found}"


def test_that_window_titles_are_visible_text() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in python_files("gui", "widgets")
        if path != "widgets/plain.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "setWindowTitle"
        and not isinstance(node.args[0], ast.Constant)
    ]
    assert not found, f"use widgets.plain.set_title: {found}"


PYQTGRAPH_MARKUP_NAMES = {"LegendItem", "LabelItem", "TextItem", "InfLineLabel", "PlotItem"}
PYQTGRAPH_MARKUP_CALLS = {"setLabel", "setLabels", "setTitle", "addLegend", "showLabel"}
PYQTGRAPH_MARKUP_ARGUMENTS = {"html", "label", "labels", "units"}


def test_that_no_text_reaches_what_pyqtgraph_renders_as_html() -> None:
    """LegendItem, LabelItem, TextItem, titles and axis labels render HTML: a topic's name must
    not. Titles, legends and labels of charts are painted by our own parts."""
    found = []
    for path in python_files("widgets"):
        if not any(module.split(".")[0] == "pyqtgraph" for _, module, _ in imports(path)):
            continue
        for node in ast.walk(tree(path)):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            line = getattr(node, "lineno", 0)
            if name in PYQTGRAPH_MARKUP_NAMES or name in PYQTGRAPH_MARKUP_CALLS:
                found.append(f"{path}:{line} {name}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("pg."):
                found += [
                    f"{path}:{line} {keyword.arg}="
                    for keyword in node.keywords
                    if keyword.arg in PYQTGRAPH_MARKUP_ARGUMENTS
                ]
    assert not found, found


def test_that_only_widgets_charts_imports_pyqtgraph() -> None:
    found = [
        f"{path}:{line}"
        for path in python_files(*ROOMS)
        if not path.startswith("widgets/charts/")
        for line, module, _ in imports(path)
        if module.split(".")[0] == "pyqtgraph"
    ]
    assert not found, found


NOT_BEFORE_THE_FIRST_PAINT = (
    *("pyqtgraph", "numpy"),  # 200 ms
    *("confluent_kafka", "sqlite3", "keyring", "psutil", "embedded_broker"),
    *("gui.embedded.cluster", "gui.messages.page", "kafka_client.gateway", "kafka_client.wire"),
    *("gui.session", "gui.session_view", "gui.health", "kafka_client.model"),
)


def test_that_the_window_starts_without_what_its_first_paint_does_not_need() -> None:
    names = " ".join(NOT_BEFORE_THE_FIRST_PAINT)
    code = f"import sys, gui.app; print(*(n for n in '{names}'.split() if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, check=True, timeout=60, capture_output=True
    )
    assert not done.stdout.split(), "gui.app imports these: import them when they are used"


def test_that_every_label_is_made_plain() -> None:
    """A bare QLabel guesses whether its text is markup; widgets' plain() makes one that does
    not."""
    makers = [
        path
        for path in python_files("widgets")
        if re.search(r"^def plain\b", (TOP / path).read_text(), re.M)
    ]
    found = [
        f"{path}:{line}"
        for path in python_files("gui", "widgets")
        if path not in makers
        for line, _, name in calls(path)
        if name == "QLabel"
    ]
    assert not found, f"make labels with widgets' plain(): {found}"


def test_that_every_module_is_imported_by_another() -> None:
    modules = {module_name(path): path for path in python_files(*ROOMS)}
    used: set[str] = set(ENTRY_POINTS)
    for path in modules.values():
        own = module_name(path)
        names = {module for _, module, _ in imports(path)}
        names |= {f"{module}.{name}" for _, module, name in imports(path) if name}
        names |= {
            node.value.split(":")[
                0
            ]  # "gui.topics.page:TopicsPage" names a module as an import does
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        used |= names - {own}
    strays = [
        path
        for name, path in modules.items()
        if name not in used and not path.endswith(("__init__.py", "__main__.py"))
    ]
    assert not strays, f"nothing imports these: {strays}"


def test_that_unit_tests_mirror_the_packages() -> None:
    """The parts of embedded_broker/core may stand directly under tests/unit/embedded_broker."""
    unit = Path("tests/unit")
    folders = {
        Path(path).parent for path in python_files("tests") if path.startswith("tests/unit/")
    }
    missing = []
    for folder in folders:
        inside = folder.relative_to(unit)
        places = [inside, Path("embedded_broker/core") / Path(*inside.parts[1:])]
        if not any(
            (TOP / place).is_dir() or (TOP / place).with_suffix(".py").is_file() for place in places
        ):
            missing.append(str(folder))
    assert not missing, f"no such package: {missing}"


def test_that_no_file_names_a_machine_or_a_registry() -> None:
    hosts = [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("repo.maven.apache", "org"),
        ("repo1.maven", "org"),
    ]
    hosts += [
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
        ("crates", "io"),
        ("proxy.golang", "org"),
    ]
    patterns = [re.escape(f"{left}.{right}") for left, right in hosts]
    patterns += [
        rf"(?<![\w./]){re.escape('/' + folder)}(?:/|\b(?![-\w.]))" for folder in ("work", "root")
    ]
    banned = re.compile("|".join(patterns))
    found = []
    for path in tracked():
        try:
            text = (TOP / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        for number, line in enumerate(text.splitlines(), 1):
            if match := banned.search(line):
                found.append(f"{path}:{number} {match.group()}")
    assert not found, found


def test_that_every_dependency_is_pinned() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]

    def plain_name(requirement: str) -> str:
        return (
            re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            .replace("_", "-")
            .replace(".", "-")
            .lower()
        )

    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = {plain_name(line) for line in lines if "==" in line}
    missing = {plain_name(requirement) for requirement in wanted} - pinned
    assert not missing, f"constraints.txt does not pin {missing}"


def test_that_what_is_installed_has_the_pinned_version_and_hashes() -> None:
    pinned = {
        line.split("==")[0].replace("_", "-").replace(".", "-").lower(): line.split("==")[1]
        for line in (TOP / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    building = tomllib.loads((TOP / "pyproject.toml").read_text())["build-system"]["requires"]
    pinned["setuptools"] = building[0].split("==")[1]
    locked: dict[str, dict[str, str]] = {}
    for goal in ("run", "test"):
        text = (TOP / "requirements" / f"{goal}.txt").read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert all("--hash=sha256:" in line for line in lines)
        pairs = (re.sub(r"\[.*?\]", "", line.split()[0]).split("==") for line in lines)
        locked[goal] = dict(pairs)
        assert locked[goal].items() <= pinned.items(), "make lock"
    assert locked["test"] == pinned, "make lock"
    assert locked["run"].items() < locked["test"].items()


def test_that_the_notices_have_the_licence_of_everything_that_runs() -> None:
    notices = (TOP / "resources" / "THIRD-PARTY-NOTICES.txt").read_text(encoding="utf-8")
    _, *parts = re.split(r"\n={100}\n", notices)
    titles = (title.split(" (")[0] for title in parts[::2])
    sections = dict(zip(titles, parts[1::2], strict=True))
    text = (TOP / "requirements" / "run.txt").read_text()
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.M):
        assert len(sections[f"{name} {version}"]) > 30, "make notices"
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in sections["LGPL-3.0.txt"]
    assert "GNU GENERAL PUBLIC LICENSE" in sections["GPL-3.0.txt"]
