"""About Kafkarium: what it consists of, where it keeps things, and the diagnostics to copy into a
report, shown before they are copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from gui import log
from gui.about import components
from gui.about.diagnostics import Connected, Place, log_tail, report
from widgets.clipboard import copy_line, copy_lines
from widgets.page_state import IconLabel
from widgets.plain import plain
from widgets.theme import Theme

SIZE = (760, 560)
INTRODUCTION = (
    "Kafkarium is licensed under the Apache License 2.0. It uses the libraries and fonts below, "
    "each under its own licence. Qt and PySide6 are used under the LGPL 3.0 and are installed as "
    "separate, replaceable libraries."
)
DIAGNOSTICS_NOTE = (
    "This is the text that Copy diagnostics copies. It names your clusters and their addresses, "
    "but no user name, password or key. Read it before you send it."
)


class AboutDialog(QDialog):
    """``places``: the files and folders to name; ``connections``: what is open now."""

    def __init__(
        self,
        theme: Theme,
        places: Sequence[Place],
        connections: Sequence[Connected],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._theme, self._places = theme, places
        self.setWindowTitle("About Kafkarium")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.resize(*SIZE)
        versions = components.versions()
        installed = log.installed()
        self.diagnostics = report(
            versions,
            _display(self),
            places,
            connections,
            log_tail(installed.path if installed is not None else None),
            Path.home(),
        )
        self.tabs = QTabWidget(self)
        self.tabs.addTab(self._versions(versions), "Versions")
        self.tabs.addTab(self._folders(), "Folders")
        self.tabs.addTab(self._licences(), "Licences")
        self.tabs.addTab(self._diagnostics(), "Diagnostics")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(16)
        layout.addLayout(self._head())
        layout.addWidget(self.tabs, 1)
        layout.addLayout(self._buttons())

    def _head(self) -> QHBoxLayout:
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(plain(f"Kafkarium {components.own_version()}", self, role="title"))
        words.addWidget(
            plain(
                "A desktop application for Apache Kafka, with a real cluster inside.",
                self,
                role="muted",
            )
        )
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(IconLabel(self._theme, "app", 44, parent=self))
        head.addLayout(words, 1)
        return head

    def _buttons(self) -> QHBoxLayout:
        self.copy_button = QPushButton("Copy diagnostics", self)
        self.copy_button.clicked.connect(self.copy_diagnostics)
        self._copied = plain("", self, role="muted")
        close = QPushButton("Close", self)
        close.setProperty("role", "primary")
        close.clicked.connect(self.accept)
        close.setDefault(True)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.copy_button)
        row.addWidget(self._copied, 1)
        row.addWidget(close)
        return row

    def copy_diagnostics(self) -> None:
        copy_lines(self.diagnostics)
        self._copied.setText("Copied. Paste it into your report.")

    # ---- the tabs

    def _versions(self, versions: Sequence[tuple[str, str]]) -> QWidget:
        grid = _Grid(self)
        for name, version in versions:
            grid.add(name, plain(version, grid.content, selectable=True))
        return grid.finished()

    def _licences(self) -> QWidget:
        grid = _Grid(self)
        grid.add_wide(plain(INTRODUCTION, grid.content, wrap=True, role="muted"))
        texts = plain(components.NOTICES.name, grid.content, role="mono", selectable=True)
        buttons = place_buttons(components.NOTICES, grid.content)
        grid.add("All licence texts", texts, "In the folder of the program", *buttons)
        for component in (*components.distributions(), *components.fonts()):
            licence = plain(component.licence, grid.content, wrap=True, selectable=True)
            grid.add(component.name, licence)
        return grid.finished()

    def _folders(self) -> QWidget:
        grid = _Grid(self)
        for place in self._places:
            path = plain(str(place.path), grid.content, role="mono", wrap=True, selectable=True)
            grid.add(place.name, path, place.note, *place_buttons(place.path, grid.content))
        return grid.finished()

    def _diagnostics(self) -> QWidget:
        page = QWidget(self)
        view = QPlainTextEdit(page)
        view.setReadOnly(True)
        view.setProperty("role", "mono")
        view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        view.setPlainText(self.diagnostics)
        view.setAccessibleName("Diagnostics")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 12, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(plain(DIAGNOSTICS_NOTE, page, role="muted", wrap=True))
        layout.addWidget(view, 1)
        return page


class _Grid(QScrollArea):
    """Rows of a name, a value and perhaps buttons, in a column that scrolls."""

    NAME_WIDTH = 168

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content = QWidget(self)
        self.content.setProperty("role", "clear")
        self._grid = QGridLayout(self.content)
        self._grid.setContentsMargins(0, 12, 12, 12)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnMinimumWidth(0, self.NAME_WIDTH)
        self._grid.setColumnStretch(1, 1)
        self._rows = 0

    def add(self, name: str, value: QWidget, note: str = "", *buttons: QWidget) -> None:
        if note:
            value = _over(value, plain(note, self.content, role="faint", wrap=True))
        middle = Qt.AlignmentFlag.AlignVCenter
        self._grid.addWidget(plain(name, self.content, role="muted"), self._rows, 0, middle)
        self._grid.addWidget(value, self._rows, 1, middle)
        for place, button in enumerate(buttons):
            self._grid.addWidget(button, self._rows, 2 + place, middle)
        self._rows += 1

    def add_wide(self, widget: QWidget) -> None:
        self._grid.addWidget(widget, self._rows, 0, 1, 4)
        self._rows += 1

    def finished(self) -> QWidget:
        self._grid.setRowStretch(self._rows, 1)
        self.setWidget(self.content)
        self.setWidgetResizable(True)
        return self


def _over(upper: QWidget, lower: QWidget) -> QWidget:
    both = QWidget(upper.parentWidget())
    column = QVBoxLayout(both)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(upper)
    column.addWidget(lower)
    return both


def place_buttons(path: Path, parent: QWidget) -> tuple[QPushButton, QPushButton]:
    """*Open folder* and *Copy path* for a file or a folder. A folder that does not exist yet
    cannot be opened."""
    folder = path if path.is_dir() else path.parent
    opens = QPushButton("Open folder", parent)
    opens.setEnabled(folder.is_dir())
    opens.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))))
    copies = QPushButton("Copy path", parent)
    copies.clicked.connect(lambda: copy_line(str(path)))
    for button in (opens, copies):
        button.setProperty("role", "quiet")
        button.setAutoDefault(False)
    return opens, copies


def _display(widget: QWidget) -> list[tuple[str, str]]:
    """List the facts that a report about the window's looks needs."""
    screen = widget.screen()
    size = screen.size()
    return [
        ("Platform plugin", QGuiApplication.platformName()),
        ("Screen", f"{size.width()} × {size.height()} at scale {screen.devicePixelRatio():g}"),
        ("Colour scheme", QGuiApplication.styleHints().colorScheme().name),
    ]
