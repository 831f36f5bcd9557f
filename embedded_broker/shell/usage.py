"""Processor time and memory of a broker process, from /proc or psutil."""

from __future__ import annotations

import os
from dataclasses import dataclass

from embedded_broker.shell import platform


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu_s`` is the processor time in seconds since the start; the difference of two samples
    gives a rate. ``rss_bytes`` counts pages shared with the other brokers in full."""

    cpu_s: float
    rss_bytes: int


def usage_of(pid: int) -> Usage | None:
    """Return the usage of a process, or None when it does not exist."""
    if platform.LINUX:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                # The second field is the name in parentheses, and may itself hold any of both.
                fields = f.read().rpartition(b")")[2].split()
        except OSError:
            return None
        ticks = int(fields[11]) + int(fields[12])
        return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    import psutil

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return Usage(times.user + times.system, process.memory_info().rss)
    except psutil.Error:
        return None
