"""A ledger of campaigns: one JSON line each, so that simulated hours add up over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from embedded_broker.simulator.scenario import Result


def summary(results: Sequence[Result], seconds: float) -> dict[str, object]:
    """Return the totals of a campaign that took ``seconds``; failed seeds by name."""
    failed = [r for r in results if r.failure]
    events = sum(r.events for r in results)
    return {
        "seeds": len(results),
        "failed": [f"{r.family}/{r.brokers}/{r.seed}" for r in failed],
        "simulated_hours": round(sum(r.simulated_ms for r in results) / 3_600_000, 2),
        "events": events,
        "events_per_s": round(events / max(seconds, 0.001)),
        "acknowledged": sum(r.acks for r in results),
        "faults": sum(r.faults for r in results),
        "elections": sum(r.elections for r in results),
        "healed_in_ms_max": max((r.healed_in_ms for r in results), default=0),
        "seconds": round(seconds, 1),
    }


def append(path: Path, family: str, brokers: int, first: int, totals: dict[str, object]) -> None:
    """Append a campaign's totals to the ledger file; ``first`` is its first seed."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"when": when, "family": family, "brokers": brokers, "first": first, **totals}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
