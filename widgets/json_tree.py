"""A JSON value as a tree whose nodes are made when they are opened.

A hundred thousand items or a hundred levels cost nothing until somebody opens them. Values are
Python's own, except that an object is a tuple of (key, value) pairs, so that duplicate keys are
all shown, and a number that Python would round is any object with a ``literal``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    Qt,
)
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QMenu, QTreeView, QWidget
from typing_extensions import override

from resources.outgoing import visible
from resources.wording import counted
from widgets.clipboard import copy_data, copy_line
from widgets.plain import tooltip
from widgets.theme import Theme

Index = QModelIndex | QPersistentModelIndex

CHUNK = 500
"""children added at a time"""
OPENED_AT_ONCE = 60
"""rows opened at first, at most"""
LEVELS_OPENED = 6
LONGEST_COPY = 4 << 20
"""characters"""
LONGEST_STRING = 600
"""characters of a string that a cell shows"""
KEY_PIXELS = (96, 260)
"""least and most width of the key column"""


class Node:
    """A value with its key and its place; ``children`` are made by ``fetch``."""

    __slots__ = ("children", "id", "key", "parent", "row", "size", "value")

    def __init__(self, parent: Node | None, row: int, key: str | int, value: Any) -> None:
        self.id = 0
        self.parent, self.row, self.key, self.value = parent, row, key, value
        self.children: list[Node] = []
        self.size = len(value) if isinstance(value, (list, tuple)) else 0

    def fetch(self, most: int) -> None:
        """Make up to ``most`` more children."""
        start = len(self.children)
        for row in range(start, min(self.size, start + most)):
            item = self.value[row]
            key, value = item if isinstance(self.value, tuple) else (row, item)
            self.children.append(Node(self, row, key, value))


def scalar(value: Any) -> str:
    """A scalar in JSON's notation."""
    literal = getattr(value, "literal", None)
    if literal is not None:
        return str(literal)
    match value:
        case None:
            return "null"
        case True:
            return "true"
        case False:
            return "false"
        case int():
            return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def as_json(value: Any, budget: list[int] | None = None) -> str:
    """The value as JSON text, cut with an ellipsis at about LONGEST_COPY characters.

    ``budget`` holds the characters that are left, shared by the recursive calls.
    """
    left = budget if budget is not None else [LONGEST_COPY]
    if left[0] <= 0:
        return "…"
    if isinstance(value, tuple):
        text = (
            "{"
            + ", ".join(
                f"{json.dumps(k, ensure_ascii=False)}: {as_json(v, left)}" for k, v in value
            )
            + "}"
        )
        left[0] -= 4 * len(value)
        return text
    if isinstance(value, list):
        text = "[" + ", ".join(as_json(v, left) for v in value) + "]"
        left[0] -= 2 * len(value)
        return text
    text = scalar(value)
    left[0] -= len(text)
    return text


class JsonModel(QAbstractItemModel):
    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._root = Node(None, 0, "", None)
        self._nodes: list[Node] = [self._root]
        """by id: an index holds a number, never a pointer to a node that may be gone"""

    def _id(self, node: Node) -> int:
        if not node.id and node is not self._root:
            node.id = len(self._nodes)
            self._nodes.append(node)
        return node.id

    def set_value(self, value: Any) -> None:
        self.beginResetModel()
        self._root = Node(None, 0, "", value)
        if not isinstance(value, (list, tuple)):  # a single scalar is a tree of one row
            self._root = Node(None, 0, "", [value])
        self._nodes = [self._root]
        self._root.fetch(CHUNK)
        if self._root.value is not value and self._root.children:
            self._root.children[0].key = ""
        self.endResetModel()

    def node(self, index: Index) -> Node:
        if not index.isValid():
            return self._root
        node_id = index.internalId()
        return self._nodes[node_id] if node_id < len(self._nodes) else self._root

    def path(self, index: Index) -> str:
        """The JSON pointer of the node (RFC 6901)."""
        node = self.node(index)
        parts: list[str] = []
        while node.parent is not None:
            parts.append(str(node.key).replace("~", "~0").replace("/", "~1"))
            node = node.parent
        return "".join(f"/{part}" for part in reversed(parts))

    # ---- Qt

    @override
    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        node = self.node(parent)
        if (
            0 <= row < len(node.children)
            and 0 <= column < 2
            and (not parent.isValid() or parent.column() == 0)
        ):
            return self.createIndex(row, column, self._id(node.children[row]))
        return QModelIndex()

    @override
    def parent(self, index: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override]  # noqa: B008
        node = self.node(index).parent
        return (
            QModelIndex()
            if node is None or node.parent is None
            else self.createIndex(node.row, 0, self._id(node))
        )

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() and parent.column() > 0 else len(self.node(parent).children)

    @override
    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 2

    @override
    def hasChildren(self, parent: Index = QModelIndex()) -> bool:  # noqa: B008
        return not (parent.isValid() and parent.column() > 0) and self.node(parent).size > 0

    @override
    def canFetchMore(self, parent: Index) -> bool:
        node = self.node(parent)
        return parent.column() <= 0 and len(node.children) < node.size

    @override
    def fetchMore(self, parent: Index) -> None:
        node = self.node(parent)
        start = len(node.children)
        end = min(node.size, start + CHUNK)
        if end > start:
            self.beginInsertRows(parent, start, end - 1)
            node.fetch(CHUNK)
            self.endInsertRows()

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        node = self.node(index)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(node, index.column())
            case Qt.ItemDataRole.ForegroundRole:
                return self._theme.color(self._tone(node, index.column()))
            case Qt.ItemDataRole.ToolTipRole:
                text = self._text(node, index.column())
                return tooltip(text) if len(text) > 40 else ""
        return None

    @staticmethod
    def _text(node: Node, column: int) -> str:
        if column == 0:
            return visible(str(node.key))
        if isinstance(node.value, tuple):
            return f"{{ }} {counted(node.size, 'key')}" if node.size else "{ }"
        if isinstance(node.value, list):
            return f"[ ] {counted(node.size, 'item')}" if node.size else "[ ]"
        value = node.value
        if isinstance(value, str):
            value = value[:LONGEST_STRING]
        return visible(scalar(value))

    @staticmethod
    def _tone(node: Node, column: int) -> str:
        if column == 0:
            return "text_muted"
        if isinstance(node.value, (list, tuple)) or node.value is None:
            return "text_faint"
        return "text" if isinstance(node.value, str) else "accent"

    @override
    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return ("Key", "Value")[section]
        return None


class JsonTree(QTreeView):
    """``show_value`` opens the first levels as far as they fit.

    Ctrl+C copies the current value; the context menu also copies its path.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = JsonModel(theme, self)
        self.setModel(self._model)
        self.setFont(theme.mono_font())
        self.setUniformRowHeights(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHeaderHidden(True)
        self.setIndentation(16)
        self.setAnimated(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setAccessibleName("JSON tree")
        header = self.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)
        theme.changed.connect(self.viewport().update)

    def show_value(self, value: Any) -> None:
        self._model.set_value(value)
        rows = [self._model.index(i, 0) for i in range(self._model.rowCount())]
        rows = rows[:OPENED_AT_ONCE]
        left = OPENED_AT_ONCE - self._model.rowCount()
        levels, longest_key = 0, self._longest_key(rows)
        while rows and left > 0 and levels < LEVELS_OPENED:
            rows, left = self._open_level(rows, left)
            levels += bool(rows)
            longest_key = max(longest_key, self._longest_key(rows))
        cell = self.fontMetrics().horizontalAdvance("0")
        least, most = KEY_PIXELS
        indentation = self.indentation() * levels
        self.setColumnWidth(0, min(most, max(least, longest_key * cell + 40 + indentation)))

    def _open_level(self, rows: Sequence[QModelIndex], left: int) -> tuple[list[QModelIndex], int]:
        """Expand those rows whose children still fit; return the children and the room left."""
        below: list[QModelIndex] = []
        for index in rows:
            size = self._model.node(index).size
            if 0 < size <= left:
                left -= size
                if self._model.canFetchMore(index):
                    self._model.fetchMore(index)
                self.setExpanded(index, True)
                below += [self._model.index(i, 0, index) for i in range(size)]
        return below, left

    def _longest_key(self, rows: Sequence[QModelIndex]) -> int:
        return max((len(str(self._model.data(index))) for index in rows), default=0)

    def copy_value(self) -> None:
        index = self.currentIndex()
        if index.isValid():
            value = self._model.node(index).value
            copy_data(value if isinstance(value, str) else self._json(value))

    @staticmethod
    def _json(value: Any) -> str:
        try:
            return as_json(value)
        except RecursionError:
            return "…"

    def _copy_path(self) -> None:
        copy_line(self._model.path(self.currentIndex()))

    def _menu(self, point: QPoint) -> None:
        if not self.indexAt(point).isValid():
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy value", self.copy_value)
        menu.addAction("Copy path", self._copy_path)
        menu.popup(self.viewport().mapToGlobal(point))

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_value()
        elif event.key() == Qt.Key.Key_Asterisk:
            event.ignore()  # Qt would expand everything below: endless in a hostile value
        else:
            super().keyPressEvent(event)
