"""A key or a value in three views: as a tree, as text and in hex, and what it was decoded as."""

from __future__ import annotations

import asyncio

from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from gui.pages import PageContext
from kafka_client.errors import ClientError
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
"""bytes of JSON parsed in the window's thread; a worker parses more, once the tree is wanted"""
LARGEST_TREE = 32 << 20
"""bytes of JSON that are parsed at all"""
TOKENS_PER_LINE = 10
"""JSON tokens that fill a line at most"""
TEXT_HEAD, BINARY_HEAD = 1 << 16, 1 << 10
"""bytes decoded to describe a value of text, and of anything else"""
TREE, TEXT, HEX, BLANK = range(4)


class BytesView(QWidget):
    """``show_bytes`` is cheap for any size: a view is filled when it is first shown."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._data: bytes | None = None
        self._kind = Kind.STRING
        self._filled: set[int] = set()
        self._preferred = {Kind.JSON: TREE, Kind.STRING: TEXT}
        """the view that the person chose last for a kind"""
        self._parsing: asyncio.Task[None] | None = None
        self.description = ElidedLabel("", self, role="small")
        self.tree = JsonTree(context.theme, self)
        self.text = TextView(context.theme, self)
        self.hex = HexView(context.theme, self)
        self._stack = QStackedWidget(self)
        self._blank = QWidget(self)
        self.empty_state = EmptyState(context.theme, self._blank)
        for view in (self.tree, self.text, self.hex, self._blank):
            self._stack.addWidget(view)
        self.views = SegmentedControl(("Tree", "Text", "Hex"), self)
        self.views.clicked.connect(self._view_clicked)
        self.text.saved.connect(lambda sentence: context.notify(sentence, "ok"))
        self.text.failed.connect(lambda sentence: context.notify(sentence, "bad"))
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self.views)
        head.addWidget(self.description, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)

    @property
    def view(self) -> int:
        """TREE, TEXT, HEX, or BLANK while there is nothing to show."""
        return self._stack.currentIndex()

    def show_bytes(self, data: bytes | None, kind: Kind, *, file_name: str, null_text: str) -> None:
        """``null_text`` explains a null; ``file_name`` is offered when the bytes are saved."""
        if self._parsing is not None:
            self._parsing.cancel()
        self._data = data
        self._filled.clear()
        for view in (TREE, TEXT, HEX):
            self.views.button(view).setEnabled(bool(data))
        if data is None:
            self.description.show_text("")
            self._show_blank("minus", "null", null_text)
            return
        if not data:
            self.description.show_text("0 bytes")
            self._show_blank("info", "Empty", "There are no bytes.")
            return
        self.text.file_name = file_name
        is_text = kind in (Kind.GUESS, Kind.STRING, Kind.JSON)
        decoded = decode(data, kind, limit=TEXT_HEAD if is_text else BINARY_HEAD)
        self._kind = decoded.kind
        self.description.show_text(_description(decoded, kind, len(data)))
        self.views.button(TREE).setEnabled(decoded.kind in (Kind.JSON, Kind.STRING))
        view = self._preferred.get(self._kind, HEX if decoded.kind is Kind.HEX else TEXT)
        self._show(TEXT if view == TREE and len(data) > PARSED_AT_ONCE else view)

    def _show_blank(self, icon: str, title: str, sentence: str) -> None:
        self.empty_state.show_words(icon, title, sentence)
        self._stack.setCurrentWidget(self._blank)

    def _view_clicked(self, view: int) -> None:
        self._preferred[self._kind] = view
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
        if view == TREE:
            self._fill_tree(data)
        elif view == TEXT:
            self.text.show_bytes(data, self._form())
        else:
            self.hex.show_bytes(data)

    def _form(self) -> Form:
        """The function that turns the first bytes into at most so many lines of text."""
        kind, whole = self._kind, self._data or b""
        match kind:
            case Kind.JSON:
                return lambda head, lines: exact_json.indented(
                    head.decode("utf-8", "replace"), lines * TOKENS_PER_LINE
                )
            case Kind.INT32 | Kind.INT64 | Kind.UUID:
                return lambda _head, _lines: decode(whole, kind, limit=TEXT_HEAD).text
            case Kind.HEX | Kind.STRING:
                return lambda head, _lines: head.decode("utf-8", "replace")
            case _:
                return lambda head, _lines: decode(head, kind).text

    # ---- the tree

    def _fill_tree(self, data: bytes) -> None:
        if len(data) <= PARSED_AT_ONCE:
            self._show_parsed(exact_json.parse(data))
        elif len(data) > LARGEST_TREE:
            self._show_no_tree(f"{figures.size(len(data))} of JSON are too much for a tree.")
        else:
            self._show_blank("braces", "Parsing the JSON…", figures.size(len(data)))
            self._parsing = self._context.session.tasks.start(self._parse(data), owner=self)

    async def _parse(self, data: bytes) -> None:
        """Parse on a worker thread. Cancelled when other bytes are shown."""

        async def parse(_client: object) -> exact_json.Parsed:
            return await asyncio.to_thread(exact_json.parse, data)

        try:
            parsed = await self._context.session.ask(parse)
        except ClientError as error:
            self._show_no_tree(str(error))
        else:
            self._show_parsed(parsed)

    def _show_parsed(self, parsed: exact_json.Parsed) -> None:
        if not parsed.ok:
            self._show_no_tree(parsed.problem)
            return
        self.tree.show_value(parsed.value)
        if self.views.index == TREE:
            self._stack.setCurrentWidget(self.tree)

    def _show_no_tree(self, problem: str) -> None:
        """Show the reason, and the text instead of the tree."""
        self.views.button(TREE).setEnabled(False)
        self.description.show_text(problem)
        if self.views.index == TREE:
            self._show(TEXT)


def _description(decoded: Decoded, wanted: Kind, size: int) -> str:
    """Say how the bytes were decoded and why, or what is wrong with them, and their size."""
    guessed = wanted is Kind.GUESS
    how = f"{decoded.kind}, guessed: {decoded.why}" if guessed else str(decoded.kind)
    return "  ·  ".join((decoded.problem or how, figures.size(size)))
