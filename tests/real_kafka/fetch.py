"""Fetch Apache Kafka's jars with Maven into the ignored folder .kafka (or $KAFKARIUM_KAFKA_DIR).

Run by `make kafka`. A second run with the same pom.xml does nothing. Where Maven cannot be had or
does not answer, it prints one line and exits with UNAVAILABLE; tests that want a real Kafka then
skip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
POM = HERE / "pom.xml"
UNAVAILABLE = 3
MAVEN_TIMEOUT_S = 600


def kafka_dir() -> Path:
    """The folder that holds libs/*.jar: $KAFKARIUM_KAFKA_DIR, else .kafka at the top of the
    repository."""
    chosen = os.environ.get("KAFKARIUM_KAFKA_DIR")
    return Path(chosen) if chosen else HERE.parent.parent / ".kafka"


def why_unavailable() -> str | None:
    """None when brokers and tools can be started here; else one sentence that says what is
    missing."""
    if shutil.which("java") is None:
        return "no java on the PATH: a real Kafka cannot be started here (make kafka)"
    if not any((kafka_dir() / "libs").glob("kafka_*.jar")):
        return f"no Apache Kafka jars in {kafka_dir()}: run `make kafka` first"
    return None


def class_path() -> str:
    """Every fetched jar, as java's -cp wants it."""
    return str(kafka_dir() / "libs" / "*")


def _install_with_apt(packages: list[str]) -> None:
    """Best effort, and only as root on Debian: a missing tool is reported by the caller."""
    if shutil.which("apt-get") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    for command in (["apt-get", "update"], install):
        subprocess.run(
            command,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def fetch() -> str | None:
    """Make libs/ hold what pom.xml names. Returns None, or one sentence that says why it could
    not be done."""
    home = kafka_dir()
    stamp = home / "pom.sha256"
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and why_unavailable() is None:
        return None
    missing = {"java": "default-jre-headless", "mvn": "maven"}
    packages = [package for tool, package in missing.items() if shutil.which(tool) is None]
    if packages:
        _install_with_apt(packages)
    for tool, package in missing.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed (apt-get install {package})"
    libs = home / "libs"
    shutil.rmtree(libs, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={libs.resolve()}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MAVEN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"Maven did not finish within {MAVEN_TIMEOUT_S} s"
    if done.returncode != 0:
        shutil.rmtree(libs, ignore_errors=True)
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or [
            "no reason given"
        ]
        return f"Maven did not serve Apache Kafka: {lines[0][:200]}"
    stamp.write_text(wanted)
    return None


def main() -> int:
    reason = fetch()
    if reason is not None:
        print(f"kafka: {reason}; tests that want a real Kafka will skip")
        return UNAVAILABLE
    print(f"kafka: {len(list((kafka_dir() / 'libs').glob('*.jar')))} jars in {kafka_dir()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
