"""The progress and the outcome of a scan in a sentence."""

from __future__ import annotations

from kafka_client.reading.plan import ScanRequest
from kafka_client.reading.scan import Ended, Progress, ScanResult
from resources.wording import counted, numbered
from widgets import figures

DOT = "  ·  "
LONGEST_ETA_S = 360_000
"""a longer estimate is not worth showing"""
LONGEST_QUOTE = 60
"""characters of the filter that a sentence quotes"""
SPEED_AFTER_S = 0.5
"""the speed of a shorter scan means nothing"""


def progress_text(progress: Progress, request: ScanRequest, evicted: int) -> str:
    parts = ["Live"] if request.endless else []
    parts.append(f"{counted(progress.scanned, 'record')} read")
    if request.contains is not None:
        parts.append(f"{progress.matched:,} match")
    if progress.scanned_bytes:
        parts.append(figures.size(progress.scanned_bytes))
    parts.append(f"{figures.count(progress.records_per_s)} records/s")
    if progress.eta_s is not None and progress.eta_s < LONGEST_ETA_S:
        parts.append(f"about {figures.duration(progress.eta_s)} left")
    if progress.unreadable:
        parts.append(_unreadable(progress))
    if evicted:
        parts.append(_evicted(evicted))
    if progress.waiting_for:
        parts.append(f"waiting for {numbered('partition', progress.waiting_for)}")
    return DOT.join(parts)


def outcome_text(result: ScanResult | None, request: ScanRequest, kept: int, evicted: int) -> str:
    """``result`` is None when the person stopped the scan."""
    if result is None:
        gone = f"; {_evicted(evicted)}" if evicted else ""
        return f"Stopped with {counted(kept, 'record')} loaded{gone}."
    done = result.progress
    if request.contains is not None:
        found = f"{done.matched:,} of {counted(done.scanned, 'record')} match, read"
    else:
        found = counted(done.matched, "record")
    text = f"{found} in {figures.duration(result.took_s)}"
    if result.took_s >= SPEED_AFTER_S:
        text += f", {figures.count(done.records_per_s)} records/s"
    text += "."
    if done.unreadable:
        text += f" {_unreadable(done).capitalize()}."
    if result.ended is Ended.KEPT:
        text += (
            f" Stopped at the limit of {figures.count(request.keep_records)} records or"
            f" {figures.size(request.keep_bytes)}. Narrow the range or filter to read further."
        )
    return text


def empty_words(request: ScanRequest) -> tuple[str, str, str]:
    """Icon, title and sentence of a table without records after this scan."""
    if request.contains is not None:
        text = request.contains.text[:LONGEST_QUOTE]
        return "search", "No record matches", f"None of the records read contains “{text}”."
    if request.endless:
        return "live", "No new records", "No record was written during the live tail."
    return (
        "messages",
        "No records in this range",
        "Choose another start, or Live to wait for new records.",
    )


def _unreadable(progress: Progress) -> str:
    return f"{counted(progress.unreadable, 'offset')} could not be read"


def _evicted(count: int) -> str:
    return f"the oldest {counted(count, 'record')} removed"
