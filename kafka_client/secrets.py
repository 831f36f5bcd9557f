"""Secrets by reference: in the system's keyring, or only in memory for as long as the application
runs.

A keyring that would write in the clear, or not keep anything, is refused: the person is asked
every time instead.
"""

from __future__ import annotations

from typing import Protocol

SERVICE = "kafkarium"
_REFUSED_BACKENDS = ("plaintext", "null", "fail")


class Secrets(Protocol):
    def get(self, reference: str) -> str | None:
        """None when nothing is kept under this reference."""

    def put(self, reference: str, secret: str) -> bool:
        """Whether it was kept for the next start."""

    def forget(self, reference: str) -> None: ...


class MemorySecrets:
    """Ask every time: nothing outlives the process."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self._known = dict(known or {})

    def get(self, reference: str) -> str | None:
        return self._known.get(reference)

    def put(self, reference: str, secret: str) -> bool:
        self._known[reference] = secret
        return False

    def forget(self, reference: str) -> None:
        self._known.pop(reference, None)

    def __repr__(self) -> str:
        return f"<{len(self._known)} secrets in memory>"


class KeyringSecrets(MemorySecrets):
    """The system's keyring; what it cannot keep stays in memory. Its calls may wait for the
    person to unlock it: never call them on the window's thread."""

    @property
    def usable(self) -> bool:
        import keyring

        name = (
            type(keyring.get_keyring()).__module__.lower()
            + "."
            + type(keyring.get_keyring()).__name__.lower()
        )
        return not any(word in name for word in _REFUSED_BACKENDS)

    def get(self, reference: str) -> str | None:
        import keyring
        import keyring.errors

        held = super().get(reference)
        if held is not None or not reference or not self.usable:
            return held
        try:
            return keyring.get_password(SERVICE, reference)
        except keyring.errors.KeyringError:
            return None

    def put(self, reference: str, secret: str) -> bool:
        import keyring
        import keyring.errors

        super().put(reference, secret)
        if not self.usable:
            return False
        try:
            keyring.set_password(SERVICE, reference, secret)
        except keyring.errors.KeyringError:
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
        except keyring.errors.KeyringError:
            return
