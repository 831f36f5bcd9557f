"""Error text for a name that is not the name of a setting."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(name: str, known: Iterable[str], scope: str = "broker") -> str:
    """Return a sentence with the name, and the similar name that was probably meant."""
    close = get_close_matches(name, sorted(known), 1, 0.8)
    hint = f": did you mean {close[0]}?" if close else f": no {scope} setting has this name"
    return f"unknown setting {name}{hint}"
