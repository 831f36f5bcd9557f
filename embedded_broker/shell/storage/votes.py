"""quorum-state: what the voter has promised. A vote that was given must never be forgotten.

It is written before the metadata log exists, then moves into that log's folder, where Kafka has
it, and back out of a folder that is set aside.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.identity import (
    QUORUM_STATE,
    StateDamaged,
    read_quorum_state,
    write_quorum_state,
)


class Votes:
    """The file in ``root``, or in the metadata log's ``folder`` below it. Methods raise
    StorageFailed."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._folder_durable = True
        """Whether the folder's name is on the disk; a start flushes it."""

        self.damage = ""
        """What was found instead of a state that could be read."""

    def load(self) -> dict[str, Any]:
        """Return the state, which is on the disk; empty on a new one, and where it is damaged: a
        voter that may have forgotten a vote grants the next ones conditionally."""
        found = self._read(self._folder)
        if not found:
            return self._read(self._root)
        files.sync_names(self._folder)  # a vote is repeated without being written again
        return found

    def _read(self, folder: Path) -> dict[str, Any]:
        path = folder / QUORUM_STATE
        try:
            return read_quorum_state(path)
        except StateDamaged as e:
            self.damage = f"{path} is damaged: {e}"
            with suppress(OSError):  # kept for whoever wants to know
                path.replace(path.with_name(f"{QUORUM_STATE}.damaged"))
            return {}

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state. It is on the disk when this returns."""
        inside = self._folder.is_dir()
        target = self._folder if inside else self._root
        write_quorum_state(target / QUORUM_STATE, state)
        if inside:
            if not self._folder_durable:
                files.sync_names(self._root)  # a power cut would take the vote with the folder
                self._folder_durable = True
            with suppress(OSError):  # the one in the folder counts
                (self._root / QUORUM_STATE).unlink(missing_ok=True)

    def leave_folder(self) -> None:
        """Copy the state out of the folder, which is about to be set aside or replaced."""
        state = self._read(self._folder)
        if state:
            write_quorum_state(self._root / QUORUM_STATE, state)

    def folder_made(self) -> None:
        """There is a new folder."""
        self._folder_durable = False
