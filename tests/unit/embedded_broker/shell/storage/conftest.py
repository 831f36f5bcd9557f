from __future__ import annotations

from pathlib import Path

import pytest

from embedded_broker.shell.storage.disk import LogDirectory
from tests.unit.embedded_broker.shell.storage.directory import COUNT, fill, flush, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d"


@pytest.fixture
def disk(path: Path) -> LogDirectory:
    """A registered broker's directory with one full log, all of it on the disk."""
    disk = opened(path)
    fill(disk)
    disk.registered()
    flush(disk)
    disk.save_high_watermarks({("t", 0): COUNT})
    disk.checkpoint()
    return disk
