"""Partitions as people type them: all, ``3``, or ``0, 2, 4-7``."""

from __future__ import annotations

import re

from resources.wording import counted

_PART = re.compile(r"(\d{1,7})(?:\s*-\s*(\d{1,7}))?", re.ASCII)
_SEPARATOR = re.compile(r"[,;\s]+(?![\s-])")


def partition_list(text: str, count: int) -> tuple[int, ...] | str:
    """The sorted partitions of a topic with ``count`` of them, or a message if the text is wrong.

    An empty text, or one that begins with a letter ("All 3 partitions"), means all of them.
    """
    text = text.strip()
    if not text or text[0].isalpha():
        return tuple(range(count))
    chosen: set[int] = set()
    for part in filter(None, _SEPARATOR.split(re.sub(r"\s*-\s*", "-", text))):
        match = _PART.fullmatch(part)
        if match is None:
            return f"Partitions: “{part[:40]}” is neither a number nor a range like 2-5."
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= count or first > last:
            return (
                f"Partitions: the topic has {counted(count, 'partition')}, 0 to {count - 1};"
                f" “{part}” is not among them."
            )
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen)) or tuple(range(count))
