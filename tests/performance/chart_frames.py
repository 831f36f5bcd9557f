"""What a frame of a live chart costs: today's charts beside the painter of reference, in one run.

A frame is one new sample for every series, then everything until the pixels are there. Processor
time of this thread; both kinds take turns, so that a shared machine's speed meets both; medians.
Lines may cost what the painter cost and LINES_MORE_MS, from MANY series on no more than it; stacked
areas at most half of it. A chart that is not seen costs nothing. The last line is JSON, for
bench.py.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from tests.performance import painter_of_reference as reference
from widgets.chart_clock import ChartClock
from widgets.charts.chart_panel import ChartPanel
from widgets.charts.model import Samples, Series
from widgets.theme import Theme

SIZE = (900, 320)
POINTS = 3600
START = 1.7e9
FRAMES = 15
ROUNDS = 3
SERIES = (8, 50, 200)
MANY = 200
LINES_MORE_MS = 6.0
STACKED_SHARE = 0.5


class Data:
    """One sample a second for an hour, a gap of 20 s in it; ``step`` adds one to each series."""

    def __init__(self, series: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.times = np.arange(POINTS * 2, dtype=float) + START
        walk = np.abs(np.cumsum(rng.normal(0, 1, (series, POINTS * 2)), axis=1))
        saw = (np.arange(POINTS * 2) % 37) * rng.uniform(0.1, 0.9, (series, 1))
        self.values = walk + rng.uniform(0, 30, (series, 1)) + saw
        self.values[:, 1500:1520] = np.nan
        self.at = POINTS

    def step(self) -> None:
        self.at = self.at + 1 if self.at < POINTS * 2 else POINTS

    @property
    def now_s(self) -> float:
        return float(self.times[self.at - 1])

    def read(self, series: int, t0: float, t1: float) -> Samples:
        low = max(0, int(t0 - START))
        high = max(low, min(self.at, int(t1 - START) + 1))
        return self.times[low:high], self.values[series, low:high]


Chart = reference.TimeChart | ChartPanel


class Subject:
    """One chart in a window of its own, with what it measured in milliseconds."""

    def __init__(self, make: Callable[[Data, ChartClock, QWidget], Chart], series: int) -> None:
        self.data = Data(series)
        self.clock = ChartClock(now=lambda: self.data.now_s, interval_ms=10**9)
        self.host = QWidget()
        self.host.resize(*SIZE)
        layout = QVBoxLayout(self.host)
        layout.setContentsMargins(0, 0, 0, 0)
        self.chart = make(self.data, self.clock, self.host)
        layout.addWidget(self.chart)
        self.host.show()
        QApplication.processEvents()
        self.took_ms: list[float] = []

    def frame(self) -> None:
        self.data.step()
        began = time.thread_time()
        self.chart.data_changed()
        self.clock.tick()
        self.host.grab()
        self.took_ms.append((time.thread_time() - began) * 1000)

    def hidden(self) -> float:
        """Milliseconds of a tick while the chart is not seen."""
        self.host.hide()
        self.chart.data_changed()
        began = time.thread_time()
        self.clock.tick()
        return (time.thread_time() - began) * 1000

    def close(self) -> None:
        self.host.close()
        self.host.deleteLater()
        QApplication.processEvents()


def measure(theme: Theme, series: int, stacked: bool) -> dict[str, float]:
    """Median milliseconds of a frame: ``before``, ``now``; and ``unseen`` of a tick."""

    def before(data: Data, clock: ChartClock, host: QWidget) -> Chart:
        chart = reference.TimeChart(
            theme, clock, data.read, title="", stacked=stacked, window_s=3600.0, parent=host
        )
        chart.set_series([reference.Series(i, f"group-{i}", i) for i in range(series)])
        return chart

    def now(data: Data, clock: ChartClock, host: QWidget) -> Chart:
        chart = ChartPanel(theme, clock, data.read, title="", stacked=stacked, parent=host)
        chart.set_window(3600.0)
        chart.set_series([Series(i, f"group-{i}", i) for i in range(series)])
        return chart

    subjects = {"before": Subject(before, series), "now": Subject(now, series)}
    for subject in subjects.values():
        for _ in range(3):
            subject.frame()
        subject.took_ms.clear()
    for _ in range(ROUNDS):
        for subject in subjects.values():
            for _ in range(FRAMES // ROUNDS):
                subject.frame()
    row = {name: statistics.median(s.took_ms) for name, s in subjects.items()}
    row["unseen"] = subjects["now"].hidden()
    for subject in subjects.values():
        subject.close()
    return row


def missed(series: int, stacked: bool, row: dict[str, float]) -> str:
    """The goal that a row misses, or an empty string."""
    if row["unseen"] > 0.5:
        return "a chart that is not seen costs something"
    if stacked:
        goal = row["before"] * STACKED_SHARE
        return "" if row["now"] <= goal else f"stacked areas cost more than {goal:.1f} ms"
    goal = row["before"] + (0.0 if series >= MANY else LINES_MORE_MS)
    return "" if row["now"] <= goal else f"lines cost more than {goal:.1f} ms"


def main() -> int:
    qt = QApplication.instance() or QApplication([])
    theme = Theme()
    out, failed = {}, False
    for stacked in (False, True):
        for series in SERIES:
            row = measure(theme, series, stacked)
            problem = missed(series, stacked, row)
            failed |= bool(problem)
            name = f"{series} {'areas' if stacked else 'lines'}"
            out[name] = {key: round(value, 2) for key, value in row.items()} | {"missed": problem}
            print(f"{name:10} before {row['before']:7.1f}  now {row['now']:7.1f}  {problem}",
                  file=sys.stderr)  # fmt: skip
    assert qt is not None
    print(json.dumps(out))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
