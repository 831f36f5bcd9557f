"""The parts of the form that makes a record: bytes as text of some kind, and headers."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from kafka_client.errors import BadInput
from kafka_client.model import Header
from kafka_client.reading import exact_json
from kafka_client.reading.decode import Kind, decode, guess
from kafka_client.reading.encode import TYPED, encode
from widgets import figures
from widgets.plain import ElidedLabel, plain, set_role, tooltip
from widgets.text_view import LONGEST_LINE
from widgets.theme import Theme

EDITED_AT_MOST = 64 << 10
"""bytes of a copied value that are put into the editor; larger ones are sent as they are"""
CHECK_AFTER_MS = 150
ROWS_IN_SIGHT, ROW_PIXELS = 3, 30


class GivingEdit(QPlainTextEdit):
    """Takes what room there is, and asks for little: the form scrolls only when even that is too
    much."""

    @override
    def sizeHint(self) -> QSize:
        return QSize(200, 84)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(100, 84)


class BytesEdit(QWidget):
    """A key (one line) or a value (many). ``data()`` gives the bytes, None for null."""

    changed = Signal()

    def __init__(self, theme: Theme, name: str, lines: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kept: bytes | None = None
        self.line = QLineEdit(self)
        self.text = GivingEdit(self)
        self.editor: QLineEdit | QPlainTextEdit = self.text if lines else self.line
        (self.line if lines else self.text).hide()
        self.editor.setProperty("role", "mono")
        self.editor.setFont(theme.mono_font())
        self.editor.setAccessibleName(name)
        self.text.setTabChangesFocus(True)
        self.text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.kind = QComboBox(self)
        for kind in TYPED:
            self.kind.addItem("Text" if kind is Kind.STRING else str(kind), str(kind))
        self.kind.setFixedWidth(100)
        self.kind.setAccessibleName(f"{name} typed as")
        self.null = QCheckBox("null", self)
        self.said = ElidedLabel("", self, role="small")
        self.said.setMinimumHeight(16)
        self.replace = QPushButton("Type another", self)
        self.replace.setProperty("role", "quiet")
        self.replace.hide()
        self.replace.clicked.connect(self.clear)
        self._check_later = QTimer(self)
        self._check_later.setSingleShot(True)
        self._check_later.setInterval(CHECK_AFTER_MS)
        self._check_later.timeout.connect(self.check)
        self.line.textChanged.connect(self._edited)
        self.text.textChanged.connect(self._edited)
        self.kind.currentIndexChanged.connect(lambda _: self.check())
        self.null.toggled.connect(lambda _: self.check())
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(plain(name, self, role="muted"))
        head.addWidget(self.said, 1)
        head.addWidget(self.replace)
        head.addWidget(self.null)
        head.addWidget(self.kind)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.editor, 1 if lines else 0)
        if lines:
            self.setMinimumHeight(120)

    # ---- in and out

    @property
    def typed_as(self) -> Kind:
        return Kind(self.kind.currentData())

    def typed(self) -> str:
        return self.line.text() if self.editor is self.line else self.text.toPlainText()

    def data(self) -> bytes | None:
        """Raises: BadInput."""
        if self.null.isChecked():
            return None
        if self._kept is not None:
            return self._kept
        return encode(self.typed(), self.typed_as)

    def load(self, data: bytes | None) -> None:
        """Put these bytes in so that the same bytes come out, whatever they are."""
        self._kept = None
        self.null.setChecked(data is None)
        data = data or b""
        if len(data) > EDITED_AT_MOST or (
            len(data) > LONGEST_LINE and max(map(len, data.split(b"\n"))) > LONGEST_LINE
        ):
            self._set("", Kind.STRING)
            self._kept = data
        else:
            kind = guess(data).kind if data else Kind.STRING
            self._set(decode(data, kind).text, kind)
            if (
                self._comes_out() != data
            ):  # the editor changed it: line ends, controls, broken UTF-8
                self._set(decode(data, Kind.BASE64).text, Kind.BASE64)
        self.check()

    def clear(self) -> None:
        self._kept = None
        self.null.setChecked(False)
        self._set("", Kind.STRING)
        self.check()

    def _set(self, text: str, kind: Kind) -> None:
        self.kind.setCurrentIndex(TYPED.index(kind))
        if self.editor is self.line:
            self.line.setText(text)
        else:
            self.text.setPlainText(text)

    def _comes_out(self) -> bytes | None:
        try:
            return encode(self.typed(), self.typed_as)
        except BadInput:
            return None

    # ---- the check

    def _edited(self) -> None:
        self._check_later.start()
        self.changed.emit()

    def check(self) -> bool:
        """Say what it is; False when it cannot be sent."""
        self._check_later.stop()
        null, kept = self.null.isChecked(), self._kept
        self.editor.setEnabled(not null and kept is None)
        self.kind.setEnabled(not null and kept is None)
        self.replace.setVisible(kept is not None and not null)
        wrong = ""
        words = "a tombstone" if null and self.editor is self.text else ""
        if not null and kept is not None:
            words = f"{figures.size(len(kept))} from the copied record, as they are"
        elif not null:
            try:
                data = encode(self.typed(), self.typed_as)
                words = self._words(data)
            except BadInput as error:
                wrong = str(error)
        self.said.show_text(wrong or words)
        set_role(self.said, "bad" if wrong else "", "tone")
        set_role(self.editor, "true" if wrong else "", "wrong")
        self.changed.emit()
        return not wrong

    def _words(self, data: bytes) -> str:
        size = f"{len(data):,} byte{'' if len(data) == 1 else 's'}"
        if self.typed_as is Kind.JSON:
            return f"Valid JSON  ·  {size}"
        if self.typed_as is Kind.STRING and data[:1] in (b"{", b"["):
            found = exact_json.parse(data)
            return f"Valid JSON  ·  {size}" if found.ok else f"{found.problem}  ·  sent as text"
        return size if data else ""


@dataclass(frozen=True, slots=True)
class _HeaderRow:
    """``key_shown`` and ``value_shown`` are what the fields made of ``key`` and ``value``."""

    row: QWidget
    name: QLineEdit
    text: QLineEdit
    key: str
    key_shown: str
    value: bytes | None
    value_shown: str
    fresh: bool

    def header(self) -> Header | None:
        """None for a row in which nothing was typed."""
        name, text = self.name.text(), self.text.text()
        if self.fresh and not name and not text:
            return None
        return Header(
            self.key if name == self.key_shown else name,
            self.value if text == self.value_shown else text.encode("utf-8", "surrogatepass"),
        )


class HeaderEdits(QWidget):
    """Name and value of each header. A value that is not edited is sent as the bytes that it
    was."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: list[_HeaderRow] = []
        self._whole: tuple[Header, ...] = ()
        self._add = QPushButton("Add header", self)
        self._add.setProperty("role", "quiet")
        self._add.clicked.connect(lambda: self.add("", b"", fresh=True))
        self._said = plain("", self, role="small")
        self._said.hide()
        self._inside = QWidget(self)
        self._inside.setProperty("role", "clear")
        self._rows_layout = QVBoxLayout(self._inside)
        self._rows_layout.setContentsMargins(0, 0, 0, 0)
        self._rows_layout.setSpacing(4)
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self._inside)
        head = QHBoxLayout()
        head.addWidget(plain("Headers", self, role="muted"))
        head.addStretch(1)
        head.addWidget(self._add)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._layout.addLayout(head)
        self._layout.addWidget(self._said)
        self._layout.addWidget(self._scroll)
        theme.changed.connect(self._recolour)
        self._fit()

    MOST_EDITED = 12

    def load(self, headers: tuple[Header, ...]) -> None:
        self.clear()
        if len(headers) > self.MOST_EDITED or any(
            len(h.value or b"") > LONGEST_LINE for h in headers
        ):
            self._whole = headers
            self._said.setText(
                f"{figures.plural(len(headers), 'header')} of the copied record, as they are."
            )
            self._said.show()
            self._add.setText("Remove them")
            self._add.clicked.disconnect()
            self._add.clicked.connect(self.clear)
            return
        for header in headers:
            self.add(header.key, header.value)

    def clear(self) -> None:
        for found in self._rows:
            found.row.setParent(None)
            found.row.deleteLater()
        self._rows.clear()
        self._fit()
        if self._whole:
            self._add.clicked.disconnect()
            self._add.clicked.connect(lambda: self.add("", b"", fresh=True))
        self._whole = ()
        self._said.hide()
        self._add.setText("Add header")

    def add(self, key: str, value: bytes | None, fresh: bool = False) -> None:
        row = QWidget(self)
        name, text = QLineEdit(key, row), QLineEdit(row)
        shown = "" if value is None else decode(value).text
        text.setText(shown)
        shown = text.text()
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
        self._rows.append(_HeaderRow(row, name, text, key, name.text(), value, shown, fresh))
        self._rows_layout.addWidget(row)
        self._fit()
        if fresh:
            name.setFocus(Qt.FocusReason.OtherFocusReason)

    def headers(self) -> tuple[Header, ...]:
        if self._whole:
            return self._whole
        return tuple(header for row in self._rows if (header := row.header()) is not None)

    def _remove(self, row: QWidget) -> None:
        self._rows = [found for found in self._rows if found.row is not row]
        row.setParent(None)
        row.deleteLater()
        self._fit()

    def _fit(self) -> None:
        """As high as its rows, up to three; more of them scroll."""
        tall = min(len(self._rows), ROWS_IN_SIGHT) * (ROW_PIXELS + 4)
        self._scroll.setFixedHeight(tall)
        self._scroll.setVisible(bool(self._rows))

    def _recolour(self) -> None:
        for found in self._rows:
            for button in found.row.findChildren(QToolButton):
                button.setIcon(self._theme.icon("close"))
