"""Applies the theme's tokens to the application: fonts, palette and the one style sheet. Pages
never name a colour; they set the property ``role`` (or ``tone``) of a widget, and the sheet styles
it."""

from __future__ import annotations

import logging
import re
from importlib import resources
from pathlib import Path
from typing import Any

import platformdirs
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QProxyStyle
from typing_extensions import override

from gui.preferences import THEME, Preferences
from widgets import icons
from widgets.theme import Theme

logger = logging.getLogger(__name__)

FONTS = ("Inter-Regular.otf", "Inter-Medium.otf", "Inter-SemiBold.otf", "JetBrainsMono-Regular.ttf")


def load_fonts() -> None:
    """Load the fonts that ship with the program, so that it looks the same everywhere."""
    for name in FONTS:
        QFontDatabase.addApplicationFontFromData(
            resources.files("resources").joinpath("fonts", name).read_bytes()
        )


class _Fusion(QProxyStyle):
    """Fusion, with what a style sheet cannot express: Qt leaves no margin before the text of a
    spin box that has a sheet."""

    @override
    def polish(self, what: Any) -> Any:
        if isinstance(what, QAbstractSpinBox):
            field = what.findChild(QLineEdit)
            if field is not None:
                field.setTextMargins(6, 0, 0, 0)
        return super().polish(what)


class ThemeController(QObject):
    """Applies the theme to the application when it changes. The preference chooses dark, light, or
    what the system uses."""

    def __init__(
        self,
        app: QApplication,
        theme: Theme,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._app, self._theme, self._preferences = app, theme, preferences
        load_fonts()
        app.setStyle(_Fusion("Fusion"))
        app.setFont(theme.ui_font())
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _: self.follow())
        theme.changed.connect(self.apply)
        preferences.changed.connect(self._preference_changed)
        self.follow()
        self.apply()

    @property
    def choice(self) -> str:
        """dark, light or system."""
        return self._preferences.get(THEME)

    def choose(self, choice: str) -> None:
        self._preferences.set(THEME, choice)

    def _preference_changed(self, name: str) -> None:
        if name == THEME.name:
            self.follow()

    def follow(self) -> None:
        scheme = QGuiApplication.styleHints().colorScheme()
        dark = scheme != Qt.ColorScheme.Light if self.choice == "system" else self.choice == "dark"
        self._theme.set_dark(dark)

    def apply(self) -> None:
        self._app.setPalette(palette(self._theme))
        self._app.setStyleSheet(style_sheet(self._theme))


def palette(theme: Theme) -> QPalette:
    made = QPalette()
    roles = {
        QPalette.ColorRole.Window: "background",
        QPalette.ColorRole.WindowText: "text",
        QPalette.ColorRole.Base: "surface",
        QPalette.ColorRole.AlternateBase: "raised",
        QPalette.ColorRole.Text: "text",
        QPalette.ColorRole.Button: "raised",
        QPalette.ColorRole.ButtonText: "text",
        QPalette.ColorRole.ToolTipBase: "raised",
        QPalette.ColorRole.ToolTipText: "text",
        QPalette.ColorRole.Highlight: "selection",
        QPalette.ColorRole.HighlightedText: "text",
        QPalette.ColorRole.PlaceholderText: "text_faint",
        QPalette.ColorRole.Link: "accent",
        QPalette.ColorRole.Mid: "line",
        QPalette.ColorRole.Accent: "accent",
    }
    for role, tone in roles.items():
        made.setColor(role, theme.color(tone))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        made.setColor(QPalette.ColorGroup.Disabled, role, theme.color("text_faint"))
    return made


def style_sheet(theme: Theme) -> str:
    """The text of resources/style.qss with the names of tokens and icons replaced."""
    text = resources.files("resources").joinpath("style.qss").read_text(encoding="utf-8")
    tokens = theme.tokens
    text = re.sub(r"@icon:([a-z-]+):(\w+)", lambda m: icon_file(m[1], getattr(tokens, m[2])), text)
    return re.sub(r"@(\w+)", lambda m: str(getattr(tokens, m[1])), text.split("*/", 1)[1])


def icon_file(name: str, color: str) -> str:
    """The path of the icon in that colour, written to the cache folder: a style sheet loads images
    from files only. "" when the folder cannot be written; the icon is not drawn then."""
    folder = Path(platformdirs.user_cache_dir("kafkarium", appauthor=False), "icons")
    path = folder / f"{name}-{color.lstrip('#')}.svg"
    text = icons.source(name).replace("currentColor", color)
    try:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        logger.warning("cannot write %s, its icon is not drawn: %s", path, error)
        return ""
    return path.as_posix()
