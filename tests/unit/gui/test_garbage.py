from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from gui import garbage
from gui.garbage import GarbageCollector


class Circle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector(qapp: QObject, monkeypatch: pytest.MonkeyPatch) -> Iterator[GarbageCollector]:
    monkeypatch.setattr(garbage, "YOUNG_MS", 10)
    made = GarbageCollector(qapp)
    yield made
    made.stop()


def test_that_python_collects_nothing_by_itself_while_it_works(collector: GarbageCollector) -> None:
    assert not gc.isenabled()
    collector.stop()
    assert gc.isenabled()


def test_that_young_cycles_are_collected_in_the_windows_thread(
    qtbot: QtBot, collector: GarbageCollector
) -> None:
    gone = weakref.ref(Circle())
    qtbot.waitUntil(lambda: gone() is None, timeout=3000)


def test_that_settled_objects_are_out_of_the_collectors_sight(collector: GarbageCollector) -> None:
    collector.settle()
    assert gc.get_freeze_count() > 1000
    collector.stop()
    assert gc.get_freeze_count() == 0
