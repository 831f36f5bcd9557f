"""Keeps the keyring in step with the list of connections: a password goes with its connection, and
has a name that nobody can guess.

Earlier versions named a secret after its connection and user. A connection from somebody else's
file could use such a name, and send the password to a server of its author.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar
from uuid import uuid4

from PySide6.QtCore import QObject

from gui.client_bridge import ClientBridge
from gui.open_clusters import Clusters
from gui.tasks import TaskScope
from kafka_client.secrets import Secrets
from resources.wording import counted

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RANDOM = re.compile(r"[0-9a-f]{32}")


def new_reference() -> str:
    """A name for a secret: no other connection's, and not to be guessed."""
    return uuid4().hex


class StoredSecrets(QObject):
    """Calls the keyring off the window's thread: it may wait for the person to unlock it."""

    def __init__(
        self,
        clusters: Clusters,
        secrets: Secrets,
        bridge: ClientBridge,
        tasks: TaskScope,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._clusters, self._secrets, self._bridge = clusters, secrets, bridge
        clusters.secrets_dropped.connect(
            lambda references: tasks.start(self._forget(references), owner=self)
        )
        guessable = [name for name in clusters.references if not _RANDOM.fullmatch(name)]
        if guessable:
            tasks.start(self._rename(guessable), owner=self)

    async def _forget(self, references: Iterable[str]) -> None:
        for reference in references:
            await self._off_thread(partial(self._secrets.forget, reference))

    async def _rename(self, guessable: Iterable[str]) -> None:
        """Copy each secret to a new name, store the names with the connections, and only then
        delete the old entry: an end in between loses no password."""
        renamed: dict[str, str] = {}
        for old in guessable:
            new = new_reference()
            if await self._off_thread(partial(self._copy, old, new)):
                renamed[old] = new
        # Emits secrets_dropped for the old names.
        used = self._clusters.rename_secrets(renamed)
        await self._forget(new for old, new in renamed.items() if old not in used)
        if used:
            logger.info("gave %s in the keyring a random name", counted(len(used), "secret"))

    def _copy(self, old: str, new: str) -> bool:
        """Return whether the secret outlives this process under its new name, too."""
        secret = self._secrets.get(old)
        if secret is None:
            return False
        if self._secrets.put(new, secret):
            return True
        self._secrets.forget(new)
        return False

    async def _off_thread(self, work: Callable[[], T]) -> T:
        return await self._bridge.run(asyncio.to_thread(work))
