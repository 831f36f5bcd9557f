"""Fuzzy matching of a typed pattern: its letters in order, better at word starts and in runs."""

from __future__ import annotations

_BREAKS = frozenset(" .-_/:")


def score(pattern: str, name: str) -> tuple[int, tuple[int, ...]] | None:
    """Return (score, indexes of the matched letters), or None if the pattern does not match.

    Case is ignored; spaces in the pattern are skipped.
    """
    wanted = pattern.lower().replace(" ", "")
    text = name.lower()
    if not wanted:
        return 0, ()
    whole = text.find(wanted)
    if whole >= 0:
        starts_word = whole == 0 or text[whole - 1] in _BREAKS
        points = (
            100
            + 8 * len(wanted)
            + (40 if whole == 0 else 20 if starts_word else 0)
            - min(len(text), 60) // 4
        )
        return points, tuple(range(whole, whole + len(wanted)))
    places: list[int] = []
    at = -1
    points = 0
    for letter in wanted:
        found = text.find(letter, at + 1)
        if found < 0:
            return None
        begins = _next_word_start(text, letter, at + 1)
        if begins >= 0 and found != at + 1:
            found = begins
        points += (
            6
            if found == at + 1
            else 5
            if found == 0 or text[found - 1] in _BREAKS
            else -min(found - at, 8)
        )
        places.append(found)
        at = found
    return (points, tuple(places)) if points > -4 * len(wanted) else None


def _next_word_start(text: str, letter: str, start: int) -> int:
    for at in range(start, len(text)):
        if text[at] == letter and (at == 0 or text[at - 1] in _BREAKS):
            return at
    return -1
