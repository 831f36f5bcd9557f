"""What a broker process uses of the machine, from /proc or psutil."""

from __future__ import annotations

import os
from dataclasses import dataclass

from embedded_broker.shell import platform


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu_s``: processor time since its start; a rate is the difference of two. ``rss_bytes``
    counts pages shared with the other brokers in full."""

    cpu_s: float
    rss_bytes: int


def usage_of(pid: int) -> Usage | None:
    """None when there is no such process."""
    if platform.LINUX:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
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
