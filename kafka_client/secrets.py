"""Secrets by reference: in the system's keyring, or in memory until the application ends.

A keyring that stores plain text, or nothing, is not used: the person enters the secret again after
each start instead.
"""

from __future__ import annotations

import logging
from typing import Protocol

from resources.wording import counted

logger = logging.getLogger(__name__)

SERVICE = "kafkarium"
_REFUSED_BACKENDS = ("plaintext", "null", "fail")


class Secrets(Protocol):
    def get(self, reference: str) -> str | None:
        """The secret, or None when there is none under this reference."""

    def put(self, reference: str, secret: str, *, keep: bool = True) -> bool:
        """Store the secret, in memory alone unless ``keep``; return whether it outlives this
        process."""

    def forget(self, reference: str) -> None:
        """Delete the secret, if there is one."""


class MemorySecrets:
    """Secrets in memory: nothing outlives the process."""

    def __init__(self, secrets: dict[str, str] | None = None) -> None:
        self._secrets = dict(secrets or {})

    def get(self, reference: str) -> str | None:
        return self._secrets.get(reference)

    def put(self, reference: str, secret: str, *, keep: bool = True) -> bool:
        self._secrets[reference] = secret
        return False

    def forget(self, reference: str) -> None:
        self._secrets.pop(reference, None)

    def __repr__(self) -> str:
        return f"<{counted(len(self._secrets), 'secret')} in memory>"


class KeyringSecrets(MemorySecrets):
    """The system's keyring; a secret that it does not take stays in memory. Every call may wait
    until the person unlocks the keyring: never call one on the window's thread."""

    @property
    def usable(self) -> bool:
        """Return whether the keyring keeps secrets, and encrypts them."""
        import keyring

        backend = type(keyring.get_keyring())
        name = f"{backend.__module__}.{backend.__name__}".lower()
        return not any(word in name for word in _REFUSED_BACKENDS)

    def get(self, reference: str) -> str | None:
        import keyring
        import keyring.errors

        in_memory = super().get(reference)
        if in_memory is not None or not reference or not self.usable:
            return in_memory
        try:
            return keyring.get_password(SERVICE, reference)
        except keyring.errors.KeyringError as error:
            logger.warning("cannot read from the keyring: %s", type(error).__name__)
            return None

    def put(self, reference: str, secret: str, *, keep: bool = True) -> bool:
        import keyring
        import keyring.errors

        super().put(reference, secret)
        if not keep or not self.usable:
            return False
        try:
            keyring.set_password(SERVICE, reference, secret)
        except keyring.errors.KeyringError as error:
            logger.warning("cannot write to the keyring: %s", type(error).__name__)
            return False
        return True

    def forget(self, reference: str) -> None:
        import keyring
        import keyring.errors

        super().forget(reference)
        if not self.usable:
            return
        try:
            keyring.delete_password(SERVICE, reference)
        except keyring.errors.KeyringError as error:
            logger.warning("cannot delete from the keyring: %s", type(error).__name__)
