"""A cluster ends by itself when the program that started it is killed, in each way to start one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
DEADLINE_S = 15.0

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs a descriptor for a process, to wait for its end"
)

LOCAL_CLUSTER = """
import json, os, sys
from pathlib import Path
from embedded_broker import ClusterSpec, LocalCluster

cluster = LocalCluster(ClusterSpec(Path(sys.argv[1]), brokers=2, port=0))
cluster.start()
pids = [status.pid for status in cluster.statuses()]
launcher = getattr(cluster._launcher, "pid", None)
print(json.dumps(pids + ([launcher] if launcher else [])), flush=True)
"""
WAIT = "sys.stdin.read()\n"

LEAKED_PIPE = """
if os.fork() == 0:  # inherits the pipe to the launcher, and outlives the program
    print(flush=True)
    sys.stdin.read()
    os._exit(0)
"""

COMMAND = """
import json, os, subprocess, sys
from pathlib import Path
from tests.integration.embedded import EmbeddedCluster

cluster = EmbeddedCluster(brokers=2, data_dir=Path(sys.argv[1])).__enter__()
print(json.dumps([cluster.pid(1), cluster.pid(2), cluster.process.pid]), flush=True)
"""


class Program:
    """A Python program that starts a cluster, prints the pids of its processes, and waits."""

    def __init__(self, code: str, folder: Path, plain: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            cwd=REPOSITORY,
            env=os.environ | {"KAFKARIUM_PLAIN_PLATFORM": "1" if plain else ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.pids: list[int] = json.loads(self.process.stdout.readline())
        self.descriptors = {os.pidfd_open(pid): pid for pid in self.pids}

    def kill_and_wait(self) -> set[int]:
        """Kill the program and await the end of its processes; returns those that still run."""
        self.process.kill()
        self.process.wait()
        poll = select.poll()
        for descriptor in self.descriptors:
            poll.register(descriptor, select.POLLIN)
        left = dict(self.descriptors)
        deadline = time.monotonic() + DEADLINE_S
        while left and (wait_s := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(wait_s * 1000):
                poll.unregister(descriptor)
                del left[descriptor]
        return set(left.values())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        for descriptor in self.descriptors:
            with suppress(ProcessLookupError):  # it has ended, as it should
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)


def ends(code: str, folder: Path, plain: bool = False, freeze: bool = False) -> bool:
    """Return whether every process of the cluster ends after the program was killed."""
    program = Program(code, folder, plain)
    try:
        if freeze:
            os.kill(program.pids[0], signal.SIGSTOP)
        return not program.kill_and_wait()
    finally:
        program.close()


@pytest.mark.parametrize("plain", [False, True])
def test_that_brokers_and_launcher_end_with_the_program(tmp_path: Path, plain: bool) -> None:
    assert ends(LOCAL_CLUSTER + WAIT, tmp_path / "c", plain)
    for number in (1, 2):
        folder = tmp_path / "c" / f"broker-{number}"
        log = (folder / "broker.log").read_text()
        assert (folder / "data" / ".kafka_cleanshutdown").exists(), log
        assert not (folder / "broker.pid").exists()


def test_that_a_frozen_broker_ends_with_the_program(tmp_path: Path) -> None:
    assert ends(LOCAL_CLUSTER + WAIT, tmp_path / "c", freeze=True)


def test_that_a_pipe_kept_open_by_another_process_does_not_keep_the_cluster(tmp_path: Path) -> None:
    assert ends(LOCAL_CLUSTER + LEAKED_PIPE + WAIT, tmp_path / "c")


def test_that_a_cluster_of_the_tests_command_helper_ends_with_the_test(tmp_path: Path) -> None:
    assert ends(COMMAND + WAIT, tmp_path / "c")


def test_that_the_launcher_and_brokers_of_a_killed_command_end(tmp_path: Path) -> None:
    program = Program(COMMAND + WAIT, tmp_path / "c")
    try:
        command = program.pids[-1]
        os.kill(command, signal.SIGKILL)
        assert not program.kill_and_wait()
    finally:
        program.close()
