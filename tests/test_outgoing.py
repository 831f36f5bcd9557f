"""Text of a cluster where other programs, or Qt, would obey it: everything that leaves the program
goes through ``resources/outgoing.py`` or ``widgets/clipboard.py``, and no ``&`` in a name becomes a
shortcut.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.sources import ROOMS, calls, python_files, tree

_TERMINAL = ("resources/outgoing.py", "say or complain")
_SHEET = ("resources/outgoing.py", "CsvWriter")
_CLIPBOARD = ("widgets/clipboard.py", "copy_line, copy_lines or copy_data")
OUTGOING = {
    **dict.fromkeys(("print", "print_exc", "print_exception", "print_stack"), _TERMINAL),
    **dict.fromkeys(("StreamHandler", "basicConfig", "QTextStream"), _TERMINAL),
    **dict.fromkeys(("writer", "DictWriter"), _SHEET),
    **dict.fromkeys(("clipboard", "QMimeData", "QDrag"), _CLIPBOARD),
}
"""What hands text to other programs -> the only file that may name it, what to call instead."""
OUTGOING_MODULES = ("", "csv", "logging", "traceback", "QGuiApplication", "QApplication")
STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
STREAM_QUESTIONS = ("flush", "fileno", "isatty", "encoding")
"""What a stream may be used for anywhere: none of it writes."""
OUTGOING_ELSEWHERE: dict[str, str] = {
    "embedded_broker/simulator/": "a developer's tool: what it prints is its own",
    "embedded_broker/shell/broker_log.py": "escapes what it echoes, as in the log itself",
    "kafka_protocol/codec.py": "the writer of a message, not of CSV",
    "kafka_protocol/framing.py": "the writer of a message, not of CSV",
}


def outgoing_text(path: str) -> Iterator[str]:
    """Calls that hand text to other programs, and uses of a standard stream, wherever it then
    goes."""
    for line, owner, name in calls(path):
        if name in OUTGOING and owner in OUTGOING_MODULES and path != OUTGOING[name][0]:
            yield f"{path}:{line} {name}(): use {OUTGOING[name][1]}"
    if path == _TERMINAL[0]:
        return
    whole = tree(path)
    asked = {
        id(node.value)
        for node in ast.walk(whole)
        if isinstance(node, ast.Attribute) and node.attr in STREAM_QUESTIONS
    }
    for node in ast.walk(whole):
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr=stream) if stream in STREAMS:
                if id(node) not in asked:
                    yield f"{path}:{node.lineno} sys.{stream}: use {_TERMINAL[1]}"
            case ast.ImportFrom(module="sys", names=names):
                if any(alias.name in STREAMS for alias in names):
                    yield f"{path}:{node.lineno} from sys: use {_TERMINAL[1]}"


def test_that_text_leaves_the_program_in_one_place() -> None:
    """A terminal obeys escape sequences, a spreadsheet runs formulas, and a shell runs the lines
    that are pasted into it."""
    found = [
        place
        for path in python_files(*ROOMS)
        if not path.startswith(tuple(OUTGOING_ELSEWHERE))
        for place in outgoing_text(path)
    ]
    assert not found, found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print(name)", True),
        ("sys.stderr.write(name)", True),
        ("out = sys.stdout", True),
        ("from sys import stderr", True),
        ("traceback.print_exc()", True),
        ("logging.StreamHandler()", True),
        ("csv.DictWriter(file, names)", True),
        ("QMimeData()", True),
        ("QGuiApplication.clipboard()", True),
        ("sys.stdout.flush()", False),
        ("sys.stdout.isatty()", False),
        ("self.writer(row)", False),
    ],
)
def test_that_outgoing_text_is_noticed(
    source: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_outgoing.tree", lambda _: ast.parse(source))
    monkeypatch.setattr("tests.sources.tree", lambda _: ast.parse(source))
    assert bool(list(outgoing_text("some.py"))) == found


# ---- text of buttons, tabs and menus

BUTTONS = frozenset(
    "QPushButton QToolButton QCheckBox QRadioButton QAbstractButton QAction".split()
)


def _own_text(text: ast.expr) -> bool:
    """Return whether an expression has no text of a cluster, or escapes it."""
    match text:
        case ast.Constant():
            return True
        case ast.IfExp(body=one, orelse=other):
            return _own_text(one) and _own_text(other)
        case ast.JoinedStr(values=parts):
            return all(_own_text(part) for part in parts)
        case ast.FormattedValue(value=value, format_spec=spec):
            return spec is not None or _own_text(value)  # what has a format is a number
        case ast.Call(func=ast.Name(id="without_mnemonic" | "counted")):
            return True
    return False


def _is_text(argument: ast.expr) -> bool:
    """Return whether an argument may be the text of an action or a tab, not its icon, its parent
    or what it does."""
    match argument:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("text", "title", "name", "words", "topic", "label")
        case ast.Call(func=ast.Attribute(attr="icon") | ast.Name(id="icon" | "partial")):
            return False
        case ast.Lambda() | ast.Starred():
            return False
    return True


def _buttons(whole: ast.Module) -> set[str]:
    """What a module calls its buttons and actions: ``self.apply_button``, ``button``."""
    found = set()
    for node in ast.walk(whole):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=made)):
                if ast.unparse(made).split(".")[-1] in BUTTONS:
                    found |= {ast.unparse(target) for target in targets}
    return found


def _inside_buttons(whole: ast.Module) -> set[int]:
    """The ids of the nodes inside classes that are buttons."""
    return {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).split(".")[-1] in BUTTONS for base in node.bases)
        for inner in ast.walk(node)
    }


def mnemonics(path: str) -> Iterator[str]:
    """Texts of buttons, tabs and menus in which Qt would take an ``&`` for a shortcut."""
    whole = tree(path)
    buttons, inside = _buttons(whole), _inside_buttons(whole)
    for node in ast.walk(whole):
        if not isinstance(node, ast.Call):
            continue
        texts: list[ast.expr] = []
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in BUTTONS:
                texts = [one for one in arguments if _is_text(one)]
            case ast.Call(func=ast.Attribute(attr="addAction" | "addMenu"), args=arguments):
                texts = [one for one in arguments if _is_text(one)]
            case ast.Call(func=ast.Attribute(attr="addTab" | "setTabText"), args=arguments):
                texts = arguments[-1:]
            case ast.Call(func=ast.Attribute(value=owner, attr="setText"), args=arguments):
                on = ast.unparse(owner)
                if on in buttons or (on == "self" and id(node) in inside):
                    texts = arguments
        if not all(_own_text(text) for text in texts):
            yield f"{path}:{node.lineno} {ast.unparse(node)[:80]}"


def test_that_an_ampersand_in_a_name_is_no_shortcut() -> None:
    found = [place for path in python_files("gui", "widgets") for place in mnemonics(path)]
    assert not found, f"use widgets.plain.without_mnemonic: {found}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("b = QPushButton(self)\nb.setText(topic)", True),
        ("b = QPushButton(self)\nb.setText(f'{name} x')", True),
        ("QCheckBox(topic, self)", True),
        ("self.bar.addTab(theme.icon('a'), visible(title))", True),
        ("tabs.addTab(page, title)", True),
        ("menu.addAction(f'Open {name}', do)", True),
        ("class B(QAbstractButton):\n    def f(self, x):\n        self.setText(x)", True),
        ("b = QPushButton(self)\nb.setText(without_mnemonic(topic))", False),
        ("b = QPushButton('Stop' if runs else 'Read', self)", False),
        ("menu.addAction(theme.icon('a'), 'Open', lambda: go(name))", False),
        ("tabs.addTab(page, f'Headers ({count:,})')", False),
        ("label.setText(name)", False),
    ],
)
def test_that_a_possible_shortcut_is_noticed(
    source: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_outgoing.tree", lambda _: ast.parse(source))
    assert bool(list(mnemonics("some.py"))) == found
