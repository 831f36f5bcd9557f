"""The window's own preferences, each declared once: name, kind, default and text.

They live in one JSON file that is written whole and put in place at once, never with a secret in
it. A *setting* is Kafka's; a *preference* is the window's.

A preference is read with ``preferences.get(THEME)`` and changed with ``preferences.set(THEME,
"dark")``. What a view remembers by itself (column widths, decoders of a topic) has no declaration
of its own: its name starts with one of VIEW_STATE.
"""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

logger = logging.getLogger(__name__)

T = TypeVar("T")

SAVE_AFTER_MS = 400
FILE_NAME = "preferences.json"

VIEW_STATE = ("tables/", "decoders/", "charts/", "views/")
"""Prefixes of names that views remember by themselves."""


# ---- kinds: each turns a JSON value into the preference's type, or raises ValueError


class Flag:
    def __call__(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value


@dataclass(frozen=True, slots=True)
class OneOf:
    """``choices`` holds (value, label) in the order in which the dialog lists them."""

    choices: tuple[tuple[str, str], ...]

    def __call__(self, value: object) -> str:
        values = [choice for choice, _ in self.choices]
        if value not in values:
            raise ValueError(f"expected one of {', '.join(values)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``low`` to ``high``, both included, in ``unit``; editors step by ``step``."""

    low: float
    high: float
    unit: str = ""
    step: float = 1.0

    def __call__(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ValueError("expected a number")
        if not self.low <= value <= self.high:
            raise ValueError(f"expected {self.low:g} to {self.high:g} {self.unit}".rstrip())
        return float(value)


class Folder:
    """An absolute path; empty for the platform's own folder."""

    def __call__(self, value: object) -> str:
        if not isinstance(value, str) or (value and not Path(value).is_absolute()):
            raise ValueError("expected an absolute path, or nothing for the default folder")
        return value


class FolderList:
    """Absolute paths."""

    def __call__(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError("expected a list of paths")
        return tuple(folder for folder in map(Folder(), value) if folder)


class Size:
    """Width and height in pixels."""

    def __call__(self, value: object) -> tuple[int, int]:
        match value:
            case [int(width), int(height)] if 0 < width < 100_000 and 0 < height < 100_000:
                return width, height
        raise ValueError("expected a width and a height")


# ---- the declarations


@dataclass(frozen=True, slots=True)
class Preference(Generic[T]):
    """``kind`` checks a value and turns it into ``T``. ``text`` is its label in the Preferences
    dialog, ``help`` says there what it does and when a change takes effect. ``section`` is the
    heading it stands under; the dialog leaves out those without one: controls of the window set
    them."""

    name: str
    kind: Callable[[object], T]
    default: T
    text: str
    section: str = ""
    help: str = ""


APPEARANCE, SAMPLING, HISTORY, FOLDERS = "Appearance", "Sampling", "History", "Folders"

THEME = Preference(
    "theme",
    OneOf((("system", "Follow the system"), ("dark", "Dark"), ("light", "Light"))),
    "system",
    "Theme",
    APPEARANCE,
)
TIME_STYLE = Preference(
    "time_style",
    OneOf((("local", "Local time"), ("utc", "UTC"), ("relative", "Relative to now"))),
    "local",
    "Times",
    APPEARANCE,
    "How charts and tables write moments. Exports keep the exact time.",
)
SAMPLING_FOCUS_S = Preference(
    "sampling.focus_s",
    Number(0.5, 60, "s", 0.5),
    1.0,
    "Topics and groups in sight",
    SAMPLING,
    "How often offsets of what the window shows are read.",
)
SAMPLING_REST_S = Preference(
    "sampling.rest_s", Number(1, 600, "s"), 5.0, "All other topics and groups", SAMPLING
)
SAMPLING_METADATA_S = Preference(
    "sampling.metadata_s",
    Number(1, 600, "s"),
    2.0,
    "Brokers, topics and leaders",
    SAMPLING,
    "Large clusters are asked every 7 s at most. New intervals apply to connections that are "
    "opened from now on.",
)
HISTORY_DAYS = Preference(
    "history.days",
    Number(1, 30, "d"),
    30.0,
    "Keep samples and events for",
    HISTORY,
    "Samples of one second stay for an hour, of ten seconds for a day, of a minute for the whole "
    "time.",
)
HISTORY_MIB = Preference(
    "history.mib",
    Number(10, 100_000, "MiB", 100),
    1024.0,
    "Most for one cluster",
    HISTORY,
    "The oldest samples go first. A change applies to open connections within a minute.",
)
EMBEDDED_FOLDER = Preference(
    "folders.embedded",
    Folder(),
    "",
    "Data of embedded clusters",
    FOLDERS,
    "A change applies to new clusters. Those that exist stay where they are and stay listed.",
)
WINDOW_SIZE = Preference("window_size", Size(), (1440, 900), "Size of the window")
MAXIMISED = Preference("window_maximised", Flag(), False, "Open the window maximised")
WINDOW_S = Preference("window_s", Number(1, 31 * 86_400, "s"), 300.0, "Time range of the charts")
RAIL_NARROW = Preference("rail_narrow", Flag(), False, "Show the rail as icons")
DEBUG_VIEW = Preference("debug_view", Flag(), False, "Show stalls of the window's thread")
INTERNAL_TOPICS = Preference("topics.internal", Flag(), False, "List internal topics")
EARLIER_FOLDERS: Preference[tuple[str, ...]] = Preference(
    "folders.earlier", FolderList(), (), "Folders that embedded clusters were kept in before"
)

DECLARED: tuple[Preference[Any], ...] = (
    THEME,
    TIME_STYLE,
    SAMPLING_FOCUS_S,
    SAMPLING_REST_S,
    SAMPLING_METADATA_S,
    HISTORY_DAYS,
    HISTORY_MIB,
    EMBEDDED_FOLDER,
    EARLIER_FOLDERS,
    WINDOW_SIZE,
    MAXIMISED,
    WINDOW_S,
    RAIL_NARROW,
    DEBUG_VIEW,
    INTERNAL_TOPICS,
)


def default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("kafkarium", appauthor=False), FILE_NAME)


class Preferences(QObject):
    """Values by declaration. Names that no declaration has (a newer version wrote them) are kept.
    A file that cannot be read is set aside, ``problem`` says so, and the defaults hold."""

    changed = Signal(str)
    """The name of a preference that has another value now."""
    save_failed = Signal(str)
    """A sentence; emitted once until a save succeeds again."""

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.path = path or default_path()
        self.problem = ""
        """Why the file could not be used, as a sentence; empty when it could."""
        self._save_problem = ""
        self._values: dict[str, Any] = self._read()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SAVE_AFTER_MS)
        self._timer.timeout.connect(self.save)

    def get(self, preference: Preference[T]) -> T:
        """The value in force: the stored one, or the default when none is stored or the stored
        one is not valid."""
        if preference.name not in self._values:
            return preference.default
        try:
            return preference.kind(self._values[preference.name])
        except ValueError as error:
            logger.warning("preference %s ignored: %s", preference.name, error)
            return preference.default

    def set(self, preference: Preference[T], value: T) -> None:
        """Store and save soon. Raises: ValueError for a value that the preference cannot have."""
        preference.kind(list(value) if isinstance(value, tuple) else value)
        self._store(preference.name, list(value) if isinstance(value, tuple) else value)

    def reset(self, preferences: Iterable[Preference[Any]]) -> None:
        """Back to the defaults."""
        for preference in preferences:
            if self.get(preference) != preference.default:
                self.set(preference, preference.default)

    def value(self, name: str, default: Any = None) -> Any:
        """Return what a view remembers under ``name``. Raises: KeyError for a name without one
        of the prefixes of VIEW_STATE."""
        self._check_view_state(name)
        return self._values.get(name, default)

    def set_value(self, name: str, value: Any) -> None:
        """Remember ``value`` (anything that JSON holds) for a view. Raises: as ``value``."""
        self._check_view_state(name)
        self._store(name, value)

    def _check_view_state(self, name: str) -> None:
        if not name.startswith(VIEW_STATE):
            raise KeyError(f"{name}: declare it in gui/preferences.py")

    def _store(self, name: str, value: Any) -> None:
        if name in self._values and self._values[name] == value:
            return
        self._values[name] = value
        self._timer.start()
        self.changed.emit(name)

    # ---- the file

    def save(self) -> None:
        self._timer.stop()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                dir=self.path.parent, prefix=".preferences-", suffix=".json"
            )
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._values, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except OSError as error:
            self._report_failed_save(error)
        else:
            self._save_problem = ""

    def _report_failed_save(self, error: OSError) -> None:
        """Once for a problem that lasts: a full disk must not raise a note at every change."""
        sentence = (
            f"The preferences could not be saved in {self.path}: {error.strerror or error}. "
            "They hold until the window closes."
        )
        if sentence != self._save_problem:
            self._save_problem = sentence
            logger.warning("%s", sentence)
            self.save_failed.emit(sentence)

    def _read(self) -> dict[str, Any]:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._report_unusable(f"could not be read ({error.strerror or error})")
            return {}
        except ValueError:
            stored = None
        if isinstance(stored, dict):
            return stored
        aside = self.path.with_suffix(".damaged.json")
        try:
            self.path.replace(aside)
        except OSError as error:
            self._report_unusable(
                f"is damaged and could not be set aside ({error.strerror or error})"
            )
        else:
            self._report_unusable(f"was damaged and is now {aside.name}")
        return {}

    def _report_unusable(self, what: str) -> None:
        self.problem = f"The file of preferences, {self.path}, {what}. The defaults hold."
        logger.warning("%s", self.problem)
