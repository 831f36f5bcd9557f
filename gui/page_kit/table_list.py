"""A page's list: its title and buttons, and one table inside the page states."""

from __future__ import annotations

from typing import Generic

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.pages import PageContext
from widgets.column import R
from widgets.page_state import PageState
from widgets.plain import plain
from widgets.table_view import TableView

MARGINS = (24, 20, 24, 16)
"""left, top, right, bottom of every page, in pixels"""
HEAD_PIXELS = 32
"""height of the row with the title, with and without buttons"""


class TableList(QWidget, Generic[R]):
    """``head`` takes buttons at the right of the title."""

    def __init__(
        self, context: PageContext, title: str, table: TableView[R], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.context = context
        self.table = table
        self.head = QHBoxLayout()
        self.head.setSpacing(8)
        self.head.addStrut(HEAD_PIXELS)
        self.head.addWidget(plain(title, self, role="title"))
        self.head.addStretch(1)
        self.state = PageState(context.theme, table, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.setSpacing(12)
        layout.addLayout(self.head)
        layout.addWidget(self.state, 1)
        self.setFocusProxy(table)
