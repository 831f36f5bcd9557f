"""Make .venv ready on a bare machine: `python3 scripts/prepare.py run` or `... test`. Standard
library only.

Creates the environment, installs the packages of requirements/ by their hashes and the project, and
sees to it that the system libraries Qt loads are there: as root on Debian it installs them, else
it prints the command. A stamp in .venv that holds a hash of what was asked for makes the second
run a matter of milliseconds. A .venv that is a link belongs to somebody else and is taken as it
is.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
VENV = TOP / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)

# Shared library that Qt's wheels load -> Debian package that holds it.
QT_NEEDS = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
QT_NEEDS_ON_X11 = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
FONT_PACKAGE = "fonts-dejavu-core"


def stop(sentence: str) -> None:
    print(f"prepare: {sentence}", file=sys.stderr)
    sys.exit(1)


def has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def wanted_stamp(goal: str) -> str:
    """Changes with whatever would make an earlier installation wrong."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", f"requirements/{goal}.txt", "scripts/prepare.py"):
        digest.update((TOP / name).read_bytes())
    digest.update(f"{sys.version} {sys.executable} {TOP} {goal} {has_display()}".encode())
    return digest.hexdigest()


def can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def apt_install(packages: list[str]) -> bool:
    """True when apt-get put them there. Only root may; nothing is asked."""
    if not packages:
        return True
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    print(f"prepare: installing {' '.join(packages)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-q"], install):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            return False
    return True


def system_libraries() -> None:
    if sys.platform != "linux":
        return
    needs = QT_NEEDS | (QT_NEEDS_ON_X11 if os.environ.get("DISPLAY") else {})
    packages = [package for library, package in needs.items() if not can_load(library)]
    if not any(
        next(Path(folder).rglob("*.[to]tf"), None)
        for folder in FONT_FOLDERS
        if Path(folder).is_dir()
    ):
        packages.append(FONT_PACKAGE)
    if packages and not apt_install(packages):
        stop(
            "Qt needs system libraries that are missing here: "
            f"sudo apt-get install {' '.join(packages)}"
        )


def environment() -> None:
    """A new .venv of this Python."""
    if VENV.exists():
        shutil.rmtree(VENV)
    command = [sys.executable, "-m", "venv", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and apt_install(["python3-venv"]):
        shutil.rmtree(VENV, ignore_errors=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        stop("this Python cannot make a virtual environment: sudo apt-get install python3-venv")


def install(goal: str) -> None:
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    packages = f"requirements/{goal}.txt"
    # The hashes are of files of an index: a project in a folder has none, and comes afterwards.
    steps = {
        packages: ["--require-hashes", "-r", str(TOP / packages)],
        "the project itself": ["--no-deps", "--no-build-isolation", "-e", str(TOP)],
    }
    for what, arguments in steps.items():
        if subprocess.run([*pip, *arguments], stdin=subprocess.DEVNULL, check=False).returncode:
            stop(f"pip could not install {what} (its own message is above)")


def main() -> None:
    goal = sys.argv[1] if len(sys.argv) > 1 else "run"
    if VENV.is_symlink():
        return
    stamp = VENV / f".ready-{goal}"
    wanted = wanted_stamp(goal)
    for enough in {goal, "test"}:  # what tests need includes what the application needs
        installed = VENV / f".ready-{enough}"
        if installed.exists() and installed.read_text() == wanted_stamp(enough):
            return
    if sys.version_info < OLDEST:
        stop(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; "
            "make PYTHON=python3.12 chooses another"
        )
    system_libraries()
    if not PYTHON.exists() or not can_run(PYTHON):
        environment()
    print("prepare: installing Python packages into .venv (a minute or two, once)", flush=True)
    install(goal)
    stamp.write_text(wanted)


def can_run(python: Path) -> bool:
    """False when .venv was made by a Python that is gone or is another than this one."""
    question = [str(python), "-c", "import sys, pip; print(sys.version_info[:2])"]
    done = subprocess.run(question, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == str(tuple(sys.version_info[:2]))


if __name__ == "__main__":
    main()
