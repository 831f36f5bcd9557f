"""Partitions as people write them: all, ``3``, or ``0, 2, 4-7``."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d{1,7})(?:\s*-\s*(\d{1,7}))?", re.ASCII)


def partition_list(text: str, count: int) -> tuple[int, ...] | str:
    """Sorted, or a sentence about what is wrong. Text that begins with a letter means all of
    them."""
    text = text.strip()
    if not text or text[0].isalpha():
        return tuple(range(count))
    chosen: set[int] = set()
    for part in filter(None, re.split(r"[,;\s]+(?![\s-])", re.sub(r"\s*-\s*", "-", text))):
        match = _PART.fullmatch(part)
        if match is None:
            return f"Partitions: “{part[:40]}” is neither a number nor a range like 2-5."
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= count or first > last:
            return f"Partitions: the topic has {count}, numbered 0 to {count - 1}; “{part}” is not among them."
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen)) or tuple(range(count))
