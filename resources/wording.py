"""How numbers and names are put into the sentences that people read: the one place for plurals.

``counted(1, "broker")`` is "1 broker", ``counted_is(3, "broker")`` is "3 brokers are",
``numbered("broker", [1, 2, 3])`` is "brokers 1, 2 and 3". Numbers in tables and charts are
formatted by ``widgets.figures``. Window, widgets, client and command lines share this module.
"""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, one: str, many: str = "") -> str:
    """``1 topic``, ``1,234 topics``; ``many`` when the plural is not ``one`` + s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def verb(number: int, one: str = "is", many: str = "are") -> str:
    """The form of the verb that goes with ``number`` things: ``is`` or ``are``."""
    return one if number == 1 else many


def counted_is(number: int, one: str, many: str = "") -> str:
    """``1 topic is``, ``3 topics are``."""
    return f"{counted(number, one, many)} {verb(number)}"


def listed(names: Sequence[object], most: int = 3) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 4 more``; empty for no names."""
    shown = [str(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most:,} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def numbered(one: str, ids: Sequence[object], most: int = 5) -> str:
    """``broker 2``, ``brokers 1, 2 and 3``, ``partitions 0, 1, 2, 3, 4 and 95 more``."""
    return f"{one if len(ids) == 1 else one + 's'} {listed(ids, most)}"


def seconds(value_s: float) -> str:
    """A duration for a sentence: ``0.5 s``, ``2.5 s``, ``15 s``, ``3 min``; never more than two
    digits that mean something."""
    if value_s >= 120:
        return f"{value_s / 60:,.0f} min"
    if value_s >= 9.95:
        return f"{value_s:.0f} s"
    if value_s >= 0.095:
        return f"{value_s:.1f}".removesuffix(".0") + " s"
    return f"{value_s * 1000:.0f} ms"


def capitalised(sentence: str) -> str:
    """The sentence with a capital at its beginning; names inside keep theirs."""
    return sentence[:1].upper() + sentence[1:]
