"""A field for the bytes of a key (one line) or a value (many), typed as text of some kind."""

from __future__ import annotations

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from kafka_client.errors import BadInput
from kafka_client.reading import exact_json
from kafka_client.reading.decode import Kind, decode, guess
from kafka_client.reading.encode import TYPED, encode
from resources.wording import counted
from widgets import figures
from widgets.plain import ElidedLabel, plain, set_role
from widgets.text_view import LONGEST_LINE
from widgets.theme import Theme

LARGEST_EDITED = 64 << 10
"""bytes of a copied value that are put into the editor; larger ones are sent unchanged"""
CHECK_AFTER_MS = 150


class CompactTextEdit(QPlainTextEdit):
    """Asks for little height and takes what there is: a form scrolls as late as possible."""

    @override
    def sizeHint(self) -> QSize:
        return QSize(200, 84)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(100, 84)


class BytesEdit(QWidget):
    """``data()`` returns the bytes, or None for null."""

    changed = Signal()

    def __init__(self, theme: Theme, name: str, lines: bool, parent: QWidget | None = None) -> None:
        """``lines``: many lines, as for a value."""
        super().__init__(parent)
        self._unchanged: bytes | None = None
        """bytes of a copied record that are sent as they are"""
        self.line = QLineEdit(self)
        self.text = CompactTextEdit(self)
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
        self.hint = ElidedLabel("", self, role="small")
        self.hint.setMinimumHeight(16)
        self.replace = QPushButton("Type another", self)
        self.replace.setProperty("role", "quiet")
        self.replace.hide()
        self._check_later = QTimer(self)
        self._check_later.setSingleShot(True)
        self._check_later.setInterval(CHECK_AFTER_MS)
        self._build(name, lines)
        self._connect()

    def _build(self, name: str, lines: bool) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(plain(name, self, role="muted"))
        head.addWidget(self.hint, 1)
        for widget in (self.replace, self.null, self.kind):
            head.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.editor, 1 if lines else 0)
        if lines:
            self.setMinimumHeight(120)

    def _connect(self) -> None:
        self.replace.clicked.connect(self.clear)
        self._check_later.timeout.connect(self.check)
        self.line.textChanged.connect(self._edited)
        self.text.textChanged.connect(self._edited)
        self.kind.currentIndexChanged.connect(lambda _: self.check())
        self.null.toggled.connect(lambda _: self.check())

    # ---- bytes in and out

    @property
    def typed_as(self) -> Kind:
        return Kind(self.kind.currentData())

    def typed(self) -> str:
        return self.line.text() if self.editor is self.line else self.text.toPlainText()

    def data(self) -> bytes | None:
        """Raises: BadInput."""
        if self.null.isChecked():
            return None
        if self._unchanged is not None:
            return self._unchanged
        return encode(self.typed(), self.typed_as)

    def load(self, data: bytes | None) -> None:
        """Fill the field so that ``data()`` returns exactly these bytes."""
        self._unchanged = None
        self.null.setChecked(data is None)
        data = data or b""
        if _too_large(data):
            self._set("", Kind.STRING)
            self._unchanged = data
        else:
            kind = guess(data).kind if data else Kind.STRING
            self._set(decode(data, kind).text, kind)
            if self._encoded() != data:
                # The editor changed it: line ends, control characters, broken UTF-8.
                self._set(decode(data, Kind.BASE64).text, Kind.BASE64)
        self.check()

    def clear(self) -> None:
        self._unchanged = None
        self.null.setChecked(False)
        self._set("", Kind.STRING)
        self.check()

    def _set(self, text: str, kind: Kind) -> None:
        self.kind.setCurrentIndex(TYPED.index(kind))
        if self.editor is self.line:
            self.line.setText(text)
        else:
            self.text.setPlainText(text)

    def _encoded(self) -> bytes | None:
        try:
            return encode(self.typed(), self.typed_as)
        except BadInput:
            return None

    # ---- the check

    def _edited(self) -> None:
        self._check_later.start()
        self.changed.emit()

    def check(self) -> bool:
        """Show what the bytes are, or what is wrong; return whether they can be sent."""
        self._check_later.stop()
        null, unchanged = self.null.isChecked(), self._unchanged is not None
        self.editor.setEnabled(not null and not unchanged)
        self.kind.setEnabled(not null and not unchanged)
        self.replace.setVisible(unchanged and not null)
        wrong = hint = ""
        try:
            hint = self._hint()
        except BadInput as error:
            wrong = str(error)
        self.hint.show_text(wrong or hint)
        set_role(self.hint, "bad" if wrong else "", "tone")
        set_role(self.editor, "true" if wrong else "", "wrong")
        self.changed.emit()
        return not wrong

    def _hint(self) -> str:
        """Raises: BadInput."""
        if self.null.isChecked():
            return "a tombstone" if self.editor is self.text else ""
        if self._unchanged is not None:
            return f"{figures.size(len(self._unchanged))} of the copied record, unchanged"
        data = encode(self.typed(), self.typed_as)
        size = counted(len(data), "byte")
        if self.typed_as is Kind.JSON:
            return f"Valid JSON  ·  {size}"
        if self.typed_as is Kind.STRING and data[:1] in (b"{", b"["):
            parsed = exact_json.parse(data)
            return f"Valid JSON  ·  {size}" if parsed.ok else f"{parsed.problem}  ·  sent as text"
        return size if data else ""


def _too_large(data: bytes) -> bool:
    """The editor would be slow with it, or with its longest line."""
    if len(data) <= LONGEST_LINE:
        return False
    return len(data) > LARGEST_EDITED or max(map(len, data.split(b"\n"))) > LONGEST_LINE
