"""One value, key or header: as a tree, as text, in hex; what it was read as and why stands above
it."""

from __future__ import annotations

import asyncio

from PySide6.QtWidgets import (
    QHBoxLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.pages import PageContext
from kafka_client.reading import exact_json
from kafka_client.reading.decode import Decoded, Kind, decode
from widgets import figures
from widgets.hex_view import HexView
from widgets.json_tree import JsonTree
from widgets.page_state import EmptyState
from widgets.plain import ElidedLabel
from widgets.segmented import SegmentedControl
from widgets.text_view import Form, TextView

PARSED_AT_ONCE = 64 << 10
"""bytes of JSON that are read in the window's thread; more is read in a worker, when the tree is
asked for"""
PARSED_AT_MOST = 32 << 20
TOKENS_A_LINE = 10
TREE, TEXT, HEX = range(3)


class BytesView(QWidget):
    """``show_bytes`` is cheap for any size: what is not looked at is not made."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._data: bytes | None = None
        self._kind = Kind.STRING
        self._filled: set[int] = set()
        self._serial = 0
        self._liked = {Kind.JSON: TREE, Kind.STRING: TEXT}
        self.said = ElidedLabel("", self, role="small")
        self.tree = JsonTree(context.theme, self)
        self.text = TextView(context.theme, self)
        self.hex = HexView(context.theme, self)
        self._stack = QStackedWidget(self)
        self._blank = QWidget(self)
        self.empty_state = EmptyState(context.theme, self._blank)
        for view in (self.tree, self.text, self.hex, self._blank):
            self._stack.addWidget(view)
        self.views = SegmentedControl(("Tree", "Text", "Hex"), self)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self.views)
        head.addWidget(self.said, 1)
        self.views.clicked.connect(self._chosen)
        self.text.saved.connect(lambda words: context.notify(words, "ok"))
        self.text.failed.connect(lambda words: context.notify(words, "bad"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)

    @property
    def view(self) -> int:
        """TREE, TEXT or HEX; 3 while nothing can be shown."""
        return self._stack.currentIndex()

    def show_bytes(self, data: bytes | None, kind: Kind, file_name: str, null: str) -> None:
        """``null`` is the sentence for a value that is null."""
        self._serial += 1
        self._data = data
        self._filled.clear()
        for view in (TREE, TEXT, HEX):
            self.views.button(view).setEnabled(bool(data))
        if not data:
            self.said.show_text("" if data is None else "0 bytes")
            self.empty_state.show_words(
                "minus" if data is None else "info",
                "null" if data is None else "Empty",
                null if data is None else "No bytes at all.",
            )
            self._stack.setCurrentWidget(self._blank)
            return
        self.text.file_name = file_name
        read = decode(
            data, kind, limit=1 << 16 if kind in (Kind.GUESS, Kind.STRING, Kind.JSON) else 1 << 10
        )
        self._kind = read.kind
        self.said.show_text(_words(read, kind, len(data)))
        self.views.button(TREE).setEnabled(read.kind in (Kind.JSON, Kind.STRING))
        view = self._liked.get(self._kind, HEX if read.kind is Kind.HEX else TEXT)
        self._show(TEXT if view == TREE and len(data) > PARSED_AT_ONCE else view)

    def _chosen(self, view: int) -> None:
        self._liked[self._kind] = view
        self._show(view)

    def _show(self, view: int) -> None:
        if not self.views.button(view).isEnabled():
            view = TEXT
        self.views.choose(view)
        self._stack.setCurrentIndex(view)
        data = self._data
        if view in self._filled or data is None:
            return
        self._filled.add(view)
        match view:
            case 0:
                self._fill_tree(data)
            case 1:
                self.text.show_bytes(data, self._form())
            case _:
                self.hex.show_bytes(data)

    def _form(self) -> Form:
        kind, whole = self._kind, self._data or b""
        if kind is Kind.JSON:
            return lambda head, lines: exact_json.indented(
                head.decode("utf-8", "replace"), lines * TOKENS_A_LINE
            )
        if kind in (Kind.INT32, Kind.INT64, Kind.UUID):
            return lambda _head, _lines: decode(whole, kind, limit=1 << 16).text
        if kind in (Kind.HEX, Kind.STRING):
            return lambda head, _lines: head.decode("utf-8", "replace")
        return lambda head, _lines: decode(head, kind).text

    def _fill_tree(self, data: bytes) -> None:
        if len(data) <= PARSED_AT_ONCE:
            self._take_tree(exact_json.parse(data))
            return
        if len(data) > PARSED_AT_MOST:
            self._no_tree(
                f"{figures.size(len(data))} of JSON are too much for a tree; look at the text."
            )
            return
        self.empty_state.show_words("braces", "Reading the JSON…", figures.size(len(data)))
        self._stack.setCurrentWidget(self._blank)
        serial = self._serial

        async def parsed(_client: object) -> exact_json.Parsed:
            return await asyncio.to_thread(exact_json.parse, data)

        self._context.session.ask(
            parsed,
            lambda found: self._take_tree(found) if serial == self._serial else None,
            lambda error: self._no_tree(str(error)) if serial == self._serial else None,
            self,
        )

    def _take_tree(self, found: exact_json.Parsed) -> None:
        if not found.ok:
            self._no_tree(found.problem)
            return
        self.tree.show_value(found.value)
        if self.views.index == TREE:
            self._stack.setCurrentWidget(self.tree)

    def _no_tree(self, problem: str) -> None:
        """Say why, and show the text instead."""
        self.views.button(TREE).setEnabled(False)
        self.said.show_text(problem)
        if self.views.index == TREE:
            self._show(TEXT)


def _words(read: Decoded, asked: Kind, size: int) -> str:
    how = f"{read.kind}, guessed: {read.why}" if asked is Kind.GUESS else str(read.kind)
    return "  ·  ".join(filter(None, (read.problem or how, figures.size(size))))
