"""The Preferences dialog, made from the declarations in ``gui.preferences``. A change acts at
once, or from when its help says on; there is nothing to confirm and *Restore defaults* takes all
of it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui.about.diagnostics import Place
from gui.about.dialog import place_buttons
from gui.preferences import (
    DECLARED,
    FOLDERS,
    Folder,
    Number,
    OneOf,
    Preference,
    Preferences,
)
from gui.tasks import TaskScope, chosen_file
from widgets.page_state import Banner
from widgets.plain import ElidedLabel, plain
from widgets.screen import resize_to_fit
from widgets.theme import Theme

SIZE = (680, 720)
LABEL_WIDTH = 208
NUMBER_WIDTH = 160
SHOWN = tuple(preference for preference in DECLARED if preference.section)


class PreferencesDialog(QDialog):
    """``places``: files and folders that cannot be changed, shown under Folders.
    ``default_folder``: where embedded clusters go while the preference is empty."""

    def __init__(
        self,
        theme: Theme,
        preferences: Preferences,
        places: Sequence[Place],
        default_folder: Path,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.preferences = preferences
        self._tasks = TaskScope(self)
        self.finished.connect(lambda _: self._tasks.close())
        self._default_folder = default_folder
        self.editors: dict[str, QWidget] = {}
        self._refresh: list[Callable[[], None]] = []
        self.setWindowTitle("Preferences")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        resize_to_fit(self, *SIZE)
        self._content = QWidget(self)
        self._content.setProperty("role", "clear")
        self._grid = QGridLayout(self._content)
        self._grid.setContentsMargins(0, 0, 12, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        self._grid.setColumnStretch(1, 1)
        for section, members in groupby(SHOWN, key=lambda preference: preference.section):
            self._add_section(section, list(members), places if section == FOLDERS else ())
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self._lay_out(theme)
        preferences.changed.connect(self._show_values)
        preferences.save_failed.connect(lambda sentence: self.banner.show_message(sentence, "warn"))

    def _lay_out(self, theme: Theme) -> None:
        scroll = QScrollArea(self)
        scroll.setWidget(self._content)
        scroll.setWidgetResizable(True)
        self.banner = Banner(theme, self)
        restore = QPushButton("Restore defaults", self)
        restore.setAutoDefault(False)
        restore.clicked.connect(lambda: self.preferences.reset(SHOWN))
        close = QPushButton("Close", self)
        close.setProperty("role", "primary")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addWidget(restore)
        buttons.addStretch(1)
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(16)
        layout.addWidget(plain("Preferences", self, role="title"))
        layout.addWidget(scroll, 1)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)

    def _add_section(
        self, title: str, members: Sequence[Preference[Any]], places: Sequence[Place]
    ) -> None:
        row = self._grid.rowCount()
        heading = plain(title, self._content, role="heading")
        heading.setContentsMargins(0, 12 if self.editors else 0, 0, 4)
        self._grid.addWidget(heading, row, 0, 1, 2)
        for preference in members:
            editor = self._editor(preference)
            editor.setAccessibleName(preference.text)
            self.editors[preference.name] = editor
            self._add_row(preference.text, editor, preference.help)
        for place in places:
            field = _PathField(self._content)
            field.show_path(place.path)
            self._add_row(place.name, field, place.note)

    def _add_row(self, label: str, field: QWidget, help: str) -> None:
        row = self._grid.rowCount()
        top = Qt.AlignmentFlag.AlignTop
        name = plain(label, self._content, wrap=True)
        name.setContentsMargins(0, 6, 0, 0)
        self._grid.addWidget(name, row, 0, top)
        self._grid.addWidget(field, row, 1)
        if help:
            words = plain(help, self._content, role="faint", wrap=True)
            words.setContentsMargins(0, 0, 0, 8)
            self._grid.addWidget(words, row + 1, 1)

    def _show_values(self, _name: str) -> None:
        for refresh in self._refresh:
            refresh()

    # ---- one editor for each kind

    def _editor(self, preference: Preference[Any]) -> QWidget:
        match preference.kind:
            case OneOf(choices):
                return self._choice(preference, choices)
            case Number() as number:
                return self._number(preference, number)
            case Folder():
                return self._folder(preference)
            case _:
                raise TypeError(f"no editor for {preference.kind}")

    def _choice(self, preference: Preference[str], choices: Sequence[tuple[str, str]]) -> QComboBox:
        box = QComboBox(self._content)
        for value, label in choices:
            box.addItem(label, value)

        def show() -> None:
            box.setCurrentIndex(box.findData(self.preferences.get(preference)))

        show()
        self._refresh.append(show)
        box.activated.connect(lambda _: self.preferences.set(preference, box.currentData()))
        return box

    def _number(self, preference: Preference[float], number: Number) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self._content)
        box.setRange(number.low, number.high)
        box.setDecimals(0 if number.step >= 1 else 1)
        box.setSingleStep(number.step)
        box.setSuffix(f" {number.unit}" if number.unit else "")
        box.setGroupSeparatorShown(True)
        box.setKeyboardTracking(False)
        box.setMaximumWidth(NUMBER_WIDTH)

        def show() -> None:
            box.setValue(self.preferences.get(preference))

        show()
        self._refresh.append(show)
        box.valueChanged.connect(lambda value: self.preferences.set(preference, value))
        return box

    def _folder(self, preference: Preference[str]) -> QWidget:
        choose = QPushButton("Choose…", self._content)
        choose.setProperty("role", "quiet")
        choose.setAutoDefault(False)
        choose.clicked.connect(lambda: self._tasks.start(self._choose_folder(preference)))
        field = _PathField(self._content, choose)

        def show() -> None:
            field.show_path(Path(self.preferences.get(preference) or self._default_folder))

        show()
        self._refresh.append(show)
        return field

    async def _choose_folder(self, preference: Preference[str]) -> None:
        start = self.preferences.get(preference) or str(self._default_folder)
        dialog = QFileDialog(self, preference.text, start)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        folder = await chosen_file(dialog)
        if folder is not None:
            self.preferences.set(preference, folder)


class _PathField(QWidget):
    """A path on a line of its own, and under it what can be done with it."""

    def __init__(self, parent: QWidget, *more: QPushButton) -> None:
        super().__init__(parent)
        self._path = ElidedLabel("", self, role="mono")
        self._path.mode = Qt.TextElideMode.ElideMiddle
        self._buttons: list[QPushButton] = []
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        self._row.setContentsMargins(-9, 0, 0, 0)  # the words of quiet buttons under the path
        for button in more:
            self._row.addWidget(button)
        self._row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._path)
        column.addLayout(self._row)

    def show_path(self, path: Path) -> None:
        self._path.show_text(str(path))
        for button in self._buttons:
            button.deleteLater()
        self._buttons = list(place_buttons(path, self))
        for button in self._buttons:
            self._row.insertWidget(self._row.count() - 1, button)
