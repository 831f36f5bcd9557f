"""What the name of a setting says: that its value is secret, or which name was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_SECRET = re.compile(r"password|passphrase|secret|jaas|credential|(^|[._-])key$", re.IGNORECASE)


def names_secret(name: str) -> bool:
    """Return whether a setting of this name, known or not, may have a secret as its value."""
    return _SECRET.search(name) is not None


def unknown(name: str, known: Iterable[str], scope: str = "broker") -> str:
    """Return a sentence with the name, and the similar name that was probably meant."""
    close = get_close_matches(name, sorted(known), 1, 0.8)
    hint = f": did you mean {close[0]}?" if close else f": no {scope} setting has this name"
    return f"unknown setting {name}{hint}"
