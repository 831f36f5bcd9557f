"""One statement of the header about the cluster's health. ``health`` makes it from a snapshot; the
header, which is built before the first paint, needs no snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthItem:
    """One item of the header: a status and the page that tells more about it."""

    text: str
    tone: str
    tip: str = ""
    page: str = ""
