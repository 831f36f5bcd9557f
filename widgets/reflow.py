"""A row of groups that stand below each other where the row is too narrow."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLayout, QSizePolicy, QWidget
from typing_extensions import override


class ReflowRow(QWidget):
    """Each of ``groups`` is a row of widgets that stays together."""

    def __init__(
        self,
        *groups: QWidget,
        spacing: int = 8,
        stretches: Sequence[int] = (),
        parent: QWidget | None = None,
    ) -> None:
        """``stretches``: how the groups share the width; all the same by default."""
        super().__init__(parent)
        self._groups = groups
        self._spacing = spacing
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(spacing)
        self._box.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # it may wrap instead
        for index, group in enumerate(groups):
            self._box.addWidget(group, stretches[index] if stretches else 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    @property
    def stacked(self) -> bool:
        return self._box.direction() == QBoxLayout.Direction.TopToBottom

    @override
    def minimumSizeHint(self) -> QSize:
        """As wide as the widest group: the row itself may wrap."""
        hints = [group.minimumSizeHint() for group in self._groups]
        return QSize(max(hint.width() for hint in hints), self._box.minimumSize().height())

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._reflow()

    @override
    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # a widget was shown, hidden or changed
            self._reflow()
        return super().event(event)

    def _reflow(self) -> None:
        gaps = self._spacing * (len(self._groups) - 1)
        needed = sum(group.minimumSizeHint().width() for group in self._groups) + gaps
        direction = (
            QBoxLayout.Direction.TopToBottom
            if needed > self.width()
            else QBoxLayout.Direction.LeftToRight
        )
        if direction != self._box.direction():
            self._box.setDirection(direction)
            self.updateGeometry()


def group_of(
    *widgets: QWidget, spacing: int = 8, stretch: QWidget | None = None, fill: bool = False
) -> QWidget:
    """A row of widgets without margins, from left to right.

    ``stretch`` takes the room that is left; with ``fill`` all widgets share it.
    """
    group = QWidget()
    row = QHBoxLayout(group)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing)
    for widget in widgets:
        row.addWidget(widget, 1 if fill or widget is stretch else 0)
    if stretch is None and not fill:
        row.addStretch(1)
    return group
