"""Fields for the headers of a record: a name and a value for each."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from kafka_client.model import Header
from kafka_client.reading.decode import decode
from resources.wording import counted
from widgets.plain import plain, tooltip
from widgets.text_view import LONGEST_LINE
from widgets.theme import Theme

MOST_EDITED = 12
"""more headers of a copied record are sent unchanged"""
ROWS_VISIBLE = 3
ROW_PIXELS, ROW_SPACING = 30, 4


@dataclass(frozen=True, slots=True)
class _HeaderRow:
    """The fields of one header, what they held at first, and the bytes that they stand for."""

    row: QWidget
    name: QLineEdit
    text: QLineEdit
    key: str
    shown_key: str
    value: bytes | None
    shown_value: str
    added: bool
    """the person added it; it counts only when something is typed"""

    def header(self) -> Header | None:
        name, text = self.name.text(), self.text.text()
        if self.added and not name and not text:
            return None
        return Header(
            self.key if name == self.shown_key else name,
            self.value if text == self.shown_value else text.encode("utf-8", "surrogatepass"),
        )


class HeadersEdit(QWidget):
    """A value that is not edited is sent as the bytes that it was."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: list[_HeaderRow] = []
        self._unchanged: tuple[Header, ...] = ()
        """headers of a copied record that are sent as they are"""
        self._button = QPushButton("Add header", self)
        self._button.setProperty("role", "quiet")
        self._button.clicked.connect(self._button_clicked)
        self._note = plain("", self, role="small")
        self._note.hide()
        inside = QWidget(self)
        inside.setProperty("role", "clear")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(ROW_SPACING)
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(inside)
        head = QHBoxLayout()
        head.addWidget(plain("Headers", self, role="muted"))
        head.addStretch(1)
        head.addWidget(self._button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._note)
        layout.addWidget(self._scroll)
        theme.changed.connect(self._recolour)
        self._fit()

    # ---- headers in and out

    def headers(self) -> tuple[Header, ...]:
        if self._unchanged:
            return self._unchanged
        return tuple(header for row in self._rows if (header := row.header()) is not None)

    def load(self, headers: tuple[Header, ...]) -> None:
        """Fill the fields, or keep the headers as they are when they are too many or too long."""
        self.clear()
        too_long = any(len(h.value or b"") > LONGEST_LINE for h in headers)
        if len(headers) > MOST_EDITED or too_long:
            self._unchanged = headers
            self._note.setText(
                f"{counted(len(headers), 'header')} of the copied record, unchanged."
            )
            self._note.show()
            self._button.setText("Remove them")
            return
        for header in headers:
            self.add(header.key, header.value)

    def clear(self) -> None:
        for row in tuple(self._rows):
            self._remove(row.row)
        self._unchanged = ()
        self._note.hide()
        self._button.setText("Add header")

    def add(self, key: str, value: bytes | None, added: bool = False) -> None:
        """Append a row; ``added`` by the person, who goes on typing in it."""
        row = QWidget(self)
        name, text = QLineEdit(key, row), QLineEdit(row)
        text.setText("" if value is None else decode(value).text)
        name.setPlaceholderText("Name")
        text.setPlaceholderText("null" if value is None else "Value")
        for edit in (name, text):
            edit.setProperty("role", "mono")
            edit.setFont(self._theme.mono_font())
        remove = QToolButton(row)
        remove.setIcon(self._theme.icon("close"))
        remove.setToolTip(tooltip("Remove this header"))
        remove.setAccessibleName("Remove this header")
        remove.clicked.connect(lambda: self._remove(row))
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(name, 2)
        line.addWidget(text, 3)
        line.addWidget(remove)
        # What the fields show may differ from what was put in: they drop line ends.
        self._rows.append(_HeaderRow(row, name, text, key, name.text(), value, text.text(), added))
        self._column.addWidget(row)
        self._fit()
        if added:
            name.setFocus(Qt.FocusReason.OtherFocusReason)

    def _button_clicked(self) -> None:
        if self._unchanged:
            self.clear()
        else:
            self.add("", b"", added=True)

    def _remove(self, row: QWidget) -> None:
        self._rows = [kept for kept in self._rows if kept.row is not row]
        row.setParent(None)
        row.deleteLater()
        self._fit()

    def _fit(self) -> None:
        """Take the height of the rows, up to ROWS_VISIBLE; more of them scroll."""
        rows = min(len(self._rows), ROWS_VISIBLE)
        self._scroll.setFixedHeight(rows * (ROW_PIXELS + ROW_SPACING))
        self._scroll.setVisible(bool(self._rows))

    def _recolour(self) -> None:
        for row in self._rows:
            for button in row.row.findChildren(QToolButton):
                button.setIcon(self._theme.icon("close"))
