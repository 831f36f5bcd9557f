"""Install kcat and kafkajs once: for `make external-clients`, and for the fixtures.

npm installs kafkajs into the ignored folder .node (or $KAFKARIUM_NODE_DIR), apt installs kcat. A
function that fails raises Unavailable with one sentence, and tests skip with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent.parent
INSTALL_TIMEOUT_S = 300


class Unavailable(Exception):
    """The client is not installed and cannot be; the text is the reason that a skipped test
    shows."""


def _quietly(*command: str, cwd: Path | None = None) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def apt(*packages: str) -> bool:
    """Install Debian packages; only root may."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    return _quietly("apt-get", "update") and _quietly(
        "apt-get", "install", "-y", "--no-install-recommends", *packages
    )


def kcat() -> Path:
    """The kcat program."""
    if shutil.which("kcat") is None:
        apt("kcat")
    found = shutil.which("kcat")
    if found is None:
        raise Unavailable("kcat is not installed (apt-get install kcat)")
    return Path(found)


def kafkajs() -> Path:
    """The folder that holds node_modules/kafkajs; give it to node as
    NODE_PATH=<folder>/node_modules."""
    folder = Path(os.environ.get("KAFKARIUM_NODE_DIR") or TOP / ".node")
    if shutil.which("node") is None:
        raise Unavailable("node is not installed (apt-get install nodejs npm)")
    wanted = (HERE / "package.json").read_text()
    manifest = folder / "package.json"
    if (
        manifest.exists()
        and manifest.read_text() == wanted
        and (folder / "node_modules" / "kafkajs").is_dir()
    ):
        return folder
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed (apt-get install npm)")
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write_text(wanted)
    if not _quietly("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=folder):
        manifest.unlink()
        raise Unavailable("npm could not install kafkajs")
    return folder


def main() -> int:
    if shutil.which("node") is None or shutil.which("npm") is None:
        apt("nodejs", "npm")
    for name, install in (("kcat", kcat), ("kafkajs", kafkajs)):
        try:
            print(f"{name}: {install()}")
        except Unavailable as reason:
            print(f"{name}: {reason}; its tests will skip")
    return 0


if __name__ == "__main__":
    sys.exit(main())
