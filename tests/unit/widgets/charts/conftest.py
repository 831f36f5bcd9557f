from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def garbage_of_this_thread() -> Iterator[None]:
    """Charts and their items refer to each other. Collect them here: a later test's client thread
    must not be the one that destroys their timers."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()
