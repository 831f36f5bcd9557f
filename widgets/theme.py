"""The colours and fonts of the dark and the light theme, by name, and the signal of a change.

Both themes are drawn by hand; neither is the other inverted. One accent colour; green, amber and
red stand for health alone; ``series`` are the colours of charts, told apart by colour-blind eyes
(after Okabe and Ito), in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QFont, QIcon

from widgets import icons

UI_FAMILY = "Inter"
MONO_FAMILY = "JetBrains Mono"
UI_PIXELS = 13
SMALL_PIXELS = 12


@dataclass(frozen=True, slots=True)
class Tokens:
    name: str
    background: str
    """behind all other surfaces"""
    surface: str
    """pages, tables"""
    raised: str
    """tiles, menus, dialogs"""
    sunken: str
    """fields, code"""
    line: str
    line_strong: str
    text: str
    text_muted: str
    text_faint: str
    accent: str
    accent_hover: str
    accent_soft: str
    """a tint of the accent, under text"""
    on_accent: str
    hover: str
    selection: str
    ok: str
    ok_soft: str
    warn: str
    warn_soft: str
    bad: str
    bad_soft: str
    series: tuple[str, ...]


DARK = Tokens(
    name="dark",
    background="#0e1217",
    surface="#141a21",
    raised="#1a222b",
    sunken="#10161c",
    line="#242e39",
    line_strong="#364452",
    text="#e3e9f0",
    text_muted="#9aa8b7",
    text_faint="#748393",
    accent="#3fb6e8",
    accent_hover="#63c6f0",
    accent_soft="#15364a",
    on_accent="#06202d",
    hover="#1e2832",
    selection="#1b3a4d",
    ok="#4cc38a",
    ok_soft="#15362a",
    warn="#e5b045",
    warn_soft="#3a2f14",
    bad="#f27a72",
    bad_soft="#42201f",
    series=("#56b4e9", "#e69f00", "#2fbf93", "#e0729f", "#f0e442", "#8f8cf2", "#e8743b", "#a9b6c4"),
)

LIGHT = Tokens(
    name="light",
    background="#eef1f4",
    surface="#ffffff",
    raised="#f7f9fb",
    sunken="#f3f6f8",
    line="#dde3e9",
    line_strong="#c3cdd7",
    text="#18222c",
    text_muted="#54636f",
    text_faint="#7a8894",
    accent="#0a76ad",
    accent_hover="#08638f",
    accent_soft="#dcf0fa",
    on_accent="#ffffff",
    hover="#f0f4f7",
    selection="#d3eaf7",
    ok="#1a7f4b",
    ok_soft="#dcf3e6",
    warn="#96660a",
    warn_soft="#fbefd2",
    bad="#c23a32",
    bad_soft="#fde6e4",
    series=("#0072b2", "#c67f00", "#00855f", "#b8487e", "#a08a00", "#5b57c9", "#c44d0e", "#5f6f7e"),
)

TONES = frozenset(f.name for f in fields(Tokens)) - {"name", "series"}


class Theme(QObject):
    """The tokens in use, given to every widget that paints. GUI thread only."""

    changed = Signal()

    def __init__(self, dark: bool = True, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tokens = DARK if dark else LIGHT
        self._icons: dict[tuple[str, str], QIcon] = {}
        self._colors: dict[str, QColor] = {}

    @property
    def dark(self) -> bool:
        return self.tokens is DARK

    def set_dark(self, dark: bool) -> None:
        tokens = DARK if dark else LIGHT
        if tokens is not self.tokens:
            self.tokens = tokens
            self._colors.clear()
            self.changed.emit()

    def color(self, tone: str) -> QColor:
        """The colour of a token by its name, e.g. ``"text_muted"``."""
        made = self._colors.get(tone)
        if made is None:
            made = self._colors[tone] = QColor(getattr(self.tokens, tone))
        return QColor(made)

    def series_color(self, index: int) -> QColor:
        return QColor(self.tokens.series[index % len(self.tokens.series)])

    def shade(self) -> QColor:
        """The colour that dims what is behind a dialog."""
        return QColor(0, 0, 0, 110 if self.dark else 60)

    def icon(self, name: str, tone: str = "text_muted") -> QIcon:
        """The icon of that name in resources/icons in the colour of a token, sharp at any scale."""
        key = (name, getattr(self.tokens, tone))
        if key not in self._icons:
            disabled = self.tokens.line_strong
            self._icons[key] = icons.make(name, key[1], disabled)
        return self._icons[key]

    def ui_font(self, pixels: int = UI_PIXELS, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """The font of the interface, with tabular figures: digits of one width."""
        font = QFont(UI_FAMILY)
        font.setPixelSize(pixels)
        font.setWeight(weight)
        font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
        font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def mono_font(self, pixels: int = SMALL_PIXELS) -> QFont:
        font = QFont(MONO_FAMILY)
        font.setStyleHint(QFont.StyleHint.Monospace)
        font.setPixelSize(pixels)
        font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
        font.setFeature(QFont.Tag("calt"), 0)  # no ligatures: `->` in a message is two characters
        return font
