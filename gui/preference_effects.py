"""Makes a changed preference act on what is open: the history of connected clusters, the folder
of embedded ones. The theme follows its preference by itself; new connections read theirs when
they are opened."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from gui.embedded.manager import EmbeddedClusters
from gui.open_clusters import Clusters
from gui.preferences import (
    EARLIER_FOLDERS,
    EMBEDDED_FOLDER,
    HISTORY_DAYS,
    HISTORY_MIB,
    Preferences,
)


class PreferenceEffects(QObject):
    """``default_folder``: where embedded clusters go while the preference is empty."""

    def __init__(
        self,
        preferences: Preferences,
        clusters: Clusters,
        embedded: EmbeddedClusters,
        default_folder: Path,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._preferences, self._clusters, self._embedded = preferences, clusters, embedded
        self.default_folder = default_folder
        self._use_folder()
        preferences.changed.connect(self._changed)

    def _changed(self, name: str) -> None:
        if name in (HISTORY_DAYS.name, HISTORY_MIB.name):
            self._limit_histories()
        elif name == EMBEDDED_FOLDER.name:
            self._remember_folder(self._embedded.root)
            self._use_folder()

    def _limit_histories(self) -> None:
        from gui.connection_preferences import history_limits_of

        limits = history_limits_of(self._preferences)
        for session in self._clusters.sessions.values():
            if session.history is not None:
                session.history.limits = limits

    def _remember_folder(self, left: Path) -> None:
        """Clusters in the folder that is left stay there; the list of clusters must find them."""
        earlier = dict.fromkeys((*self._preferences.get(EARLIER_FOLDERS), str(left)))
        self._preferences.set(EARLIER_FOLDERS, tuple(earlier))

    def _use_folder(self) -> None:
        chosen = self._preferences.get(EMBEDDED_FOLDER)
        root = Path(chosen) if chosen else self.default_folder
        earlier = [Path(folder) for folder in self._preferences.get(EARLIER_FOLDERS)]
        self._embedded.use_root(root, [self.default_folder, *earlier])
