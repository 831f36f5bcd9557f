"""How a scan goes and how it ended, in a sentence."""

from __future__ import annotations

from kafka_client.reading.plan import ScanRequest
from kafka_client.reading.scan import Ended, Progress, ScanResult
from widgets import figures

DOT = "  ·  "


def progress_words(progress: Progress, request: ScanRequest, dropped: int) -> str:
    parts = [f"{figures.plural(progress.scanned, 'record')} read"]
    if request.contains is not None:
        parts.append(f"{progress.matched:,} match")
    if progress.scanned_bytes:
        parts.append(figures.size(progress.scanned_bytes))
    parts.append(f"{figures.count(progress.records_per_s)} records/s")
    if progress.eta_s is not None and progress.eta_s < 360_000:
        parts.append(f"about {figures.duration(progress.eta_s)} left")
    if request.endless:
        parts.insert(0, "Live")
    if dropped:
        parts.append(f"the first {dropped:,} were let go")
    if progress.waiting_for:
        parts.append(f"waiting for partition {progress.waiting_for}")
    return DOT.join(parts)


def ended_words(result: ScanResult | None, request: ScanRequest, kept: int, dropped: int) -> str:
    """``result`` None: the person stopped it."""
    if result is None:
        gone = f"; the first {dropped:,} were let go" if dropped else ""
        return f"Stopped. {figures.plural(kept, 'record')} kept{gone}."
    done = result.progress
    if request.contains is not None:
        found = f"{done.matched:,} of {figures.plural(done.scanned, 'record')} match, read"
    else:
        found = f"{figures.plural(done.matched, 'record')}"
    speed = f", {figures.count(done.records_per_s)} records/s" if result.took_s >= 0.5 else ""
    how = f"{found} in {figures.duration(result.took_s)}{speed}."
    if result.ended is Ended.KEPT:
        how += (
            f" Stopped here: {figures.count(request.keep_records)} records or {figures.size(request.keep_bytes)} are"
            " kept at most. Narrow the range or filter for more."
        )
    return how
