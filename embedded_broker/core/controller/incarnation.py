"""Incarnation ids: they identify one broker process, and order the processes of one
disk."""

from __future__ import annotations

from uuid import UUID

_COUNT_SHIFT = 80


def incarnation_id(number: int, random: UUID) -> UUID:
    """Return an id whose first 48 bits are the number of the process on its disk; the
    rest is random."""
    return UUID(int=(number << _COUNT_SHIFT) | (random.int & ((1 << _COUNT_SHIFT) - 1)))


def incarnation_number(incarnation: UUID) -> int:
    """Return the number in an id that ``incarnation_id`` made."""
    return incarnation.int >> _COUNT_SHIFT
