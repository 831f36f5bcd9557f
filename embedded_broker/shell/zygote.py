"""The process that broker processes are forked from: single-threaded, everything imported,
nothing begun.

Started by a LocalCluster as a fresh interpreter, never forked from a program with threads.
Commands come as lines of JSON on standard input, what happens goes out the same way on standard
output. At the end of its input it stops its brokers in order and ends; should it die first, the
kernel sends its brokers SIGTERM.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from embedded_broker.shell import platform
from kafka_protocol.api_keys import ApiKey

STOP_SECONDS = 20.0
AT_EVERY_START = (
    (ApiKey.FETCH, 18),
    (ApiKey.METADATA, 9),
    (ApiKey.SASL_HANDSHAKE, 1),
    (ApiKey.SASL_AUTHENTICATE, 1),
    (ApiKey.VOTE, 2),
    (ApiKey.BEGIN_QUORUM_EPOCH, 1),
    (ApiKey.BROKER_REGISTRATION, 4),
    (ApiKey.BROKER_HEARTBEAT, 1),
)
"""(api key, version) of what brokers say to each other when they start."""


def preload() -> None:
    """Import what every broker uses, so that its memory and its time are shared."""
    import_module("embedded_broker.shell.process")
    import_module("embedded_broker.core.broker")
    from embedded_broker.core import api
    from kafka_protocol.codec import prepare, request_class

    for name in (
        "config",
        "controller.channel",
        "controller.controller",
        "controller.lifecycle",
        "coordinator.groups",
        "quorum.quorum",
        "replication.replicas",
        "metadata.replay",
    ):
        import_module(f"embedded_broker.core.{name}")
    for key in api.TABLE:
        request_class(key)
        api.handler(key)
    for key, version in AT_EVERY_START:
        prepare(key, version)


class Zygote:
    """Owns the forked brokers: broker id -> process id."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        self._out = os.dup(1)
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)

    def say(self, **what: Any) -> None:
        """Tell the cluster; nobody may be there any more."""
        with suppress(BrokenPipeError):
            os.write(self._out, (json.dumps(what) + "\n").encode())

    def run(self) -> None:
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.say(ready=os.getpid())
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(self._wake_out, select.POLLIN)
        rest = b""
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake_out:
                    os.read(fd, 4096)
                    self._reap()
                    continue
                data = os.read(0, 65536)
                if not data:
                    self._stop_all()
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    command = json.loads(line)
                    self._start(command["id"], Path(command["path"]), command["errors"])

    def _start(self, broker_id: int, path: Path, errors: str) -> None:
        own_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_broker(own_pid, broker_id, path, errors)
        self._children[broker_id] = pid
        self.say(started=broker_id, pid=pid)

    def _become_broker(self, zygote_pid: int, broker_id: int, path: Path, errors: str) -> None:
        """In the child; does not return."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            platform.die_with_parent(signal.SIGTERM)
            platform.name_process(f"kafka-broker-{broker_id}")
            if os.getppid() != zygote_pid:
                os._exit(0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            error_fd = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(error_fd, 1)
            os.dup2(error_fd, 2)
            from embedded_broker.shell.process import run_broker

            code = run_broker(path, lambda: self.say(serving=broker_id, pid=os.getpid()))
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for broker_id, pid in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._children[broker_id]
                self.say(exited=broker_id, pid=pid, code=os.waitstatus_to_exitcode(status))

    def _stop_all(self) -> None:
        for pid in self._children.values():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        poll = select.poll()
        poll.register(self._wake_out, select.POLLIN)
        deadline = time.monotonic() + STOP_SECONDS
        while self._children and time.monotonic() < deadline:
            if poll.poll(100):
                os.read(self._wake_out, 4096)
            self._reap()
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    preload()
    gc.collect()
    gc.freeze()
    Zygote().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
