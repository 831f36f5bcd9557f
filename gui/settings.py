"""What the window remembers: one JSON file, written whole and put in place at once, never with a
secret in it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

SAVE_AFTER_MS = 400


def default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("kafkarium", appauthor=False), "settings.json")


class Settings(QObject):
    """Values by name. A file that cannot be read is put aside and the defaults hold."""

    save_failed = Signal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.path = path or default_path()
        self._values: dict[str, Any] = self._read()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SAVE_AFTER_MS)
        self._timer.timeout.connect(self.save)

    def value(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def set_value(self, name: str, value: Any) -> None:
        """``value`` is anything that JSON holds. Saved soon."""
        if self._values.get(name) != value:
            self._values[name] = value
            self._timer.start()

    def save(self) -> None:
        self._timer.stop()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                dir=self.path.parent, prefix=".settings-", suffix=".json"
            )
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._values, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except OSError as error:
            self.save_failed.emit(
                f"The settings could not be saved in {self.path}: {error.strerror or error}."
            )

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if isinstance(found, dict):
            return found
        try:
            self.path.replace(self.path.with_suffix(".unreadable.json"))
        except OSError:
            return {}
        return {}
