"""The generated files are what `make messages` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]


def test_that_the_generated_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    script = str(TOP / "scripts/generate_messages.py")
    subprocess.run([sys.executable, script, str(tmp_path)], cwd=TOP, check=True)
    committed = TOP / "kafka_protocol"
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.py")}
    messages = {path.relative_to(committed) for path in committed.glob("messages/*.py")}
    assert written == messages | {Path("api_keys.py"), Path("errors.py")}
    for path in sorted(written):
        assert (tmp_path / path).read_text() == (committed / path).read_text(), path
