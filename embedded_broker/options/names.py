"""What to say about a name that no setting has."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(name: str, known: Iterable[str], scope: str = "broker") -> str:
    """A sentence that names the key, and the setting that was probably meant."""
    close = get_close_matches(name, sorted(known), 1, 0.8)
    hint = f": did you mean {close[0]}?" if close else f": no {scope} setting has this name"
    return f"unknown setting {name}{hint}"
