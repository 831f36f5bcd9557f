"""Labels and tooltips that never interpret their text as markup.

Text from a cluster is data: a topic may be called ``<img src=…>``. Every label of the application
is made here.
"""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget
from typing_extensions import override

from resources.outgoing import visible


def tooltip(text: str) -> str:
    """Escape text for setToolTip and ToolTipRole, where Qt guesses whether it is markup."""
    if not text:
        return ""
    return (
        f"<p style='white-space:pre-wrap'>{html.escape(visible(text, lines=True, limit=4000))}</p>"
    )


def plain(
    text: str = "",
    parent: QWidget | None = None,
    *,
    role: str = "",
    wrap: bool = False,
    selectable: bool = False,
    lines: bool = True,
) -> QLabel:
    """Make a label of plain text.

    ``role`` names a style of the style sheet: title, heading, section, strong, muted, faint,
    small, mono, fact or hero.
    """
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setOpenExternalLinks(False)
    label.setText(visible(text, lines=lines, limit=10_000))
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    if selectable:
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return label


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where room is short; the tooltip has all of it."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, role: str = "") -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.mode = Qt.TextElideMode.ElideRight
        if role:
            self.setProperty("role", role)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        self.setText(visible(text, limit=2000))
        self.setToolTip(tooltip(text))

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.setFont(self.font())
        text = QFontMetrics(self.font()).elidedText(
            self.text(), self.mode, self.contentsRect().width()
        )
        painter.drawText(
            self.contentsRect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), text
        )
        painter.end()


def set_role(widget: QWidget, role: str, name: str = "role") -> None:
    """Set a property that the style sheet selects by, and apply the style again."""
    if widget.property(name) != role:
        widget.setProperty(name, role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def set_title(window: QWidget, text: str) -> None:
    """Set a window's title, in one visible line. Qt takes a lone ``[*]`` for the place of the mark
    of a changed document."""
    window.setWindowTitle(visible(text).replace("[*]", "[*][*]"))


def without_mnemonic(text: str, limit: int = 512) -> str:
    """Escape text for a button, a check box, a tab or a menu, where Qt takes ``&`` for the sign
    before a shortcut. The text is cut to ``limit`` characters."""
    return visible(text, limit=limit).replace("&", "&&")
