"""The zygote: a small process that has imported everything, from which brokers are forked.

A fork of it is a ready broker within milliseconds and shares its memory pages. A LocalCluster
starts it as a fresh interpreter, because forking a program that has threads is not safe. It is
single-threaded and does nothing but fork.

Commands come as lines of JSON on standard input; reports (ready, started, serving, exited) leave
the same way on standard output. States: ready -> stopping -> ended. It stops when its input ends
or when its parent process is another than at its start: either way the program that started it is
gone or closed the cluster. It then shuts the brokers down, and kills those that take too long. If
the zygote dies first, the kernel sends SIGTERM to its brokers.
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
from pkgutil import walk_packages
from typing import Any

from embedded_broker.shell import platform
from kafka_protocol.api_keys import ApiKey
from resources.outgoing import complain

STOP_S = 20.0
"""How long the brokers may take to shut down when the program closes the cluster."""
ORPHAN_STOP_S = 5.0
"""The same when the program died, and nobody waits for the data any more."""
PARENT_CHECK_MS = 1_000
STOP_CHECK_MS = 100
EXIT_FAILED = 70
PRELOADED_CODECS = (
    (ApiKey.FETCH, 18),
    (ApiKey.METADATA, 9),
    (ApiKey.SASL_HANDSHAKE, 1),
    (ApiKey.SASL_AUTHENTICATE, 1),
    (ApiKey.VOTE, 2),
    (ApiKey.BEGIN_QUORUM_EPOCH, 1),
    (ApiKey.BROKER_REGISTRATION, 4),
    (ApiKey.BROKER_HEARTBEAT, 1),
)
"""(API key, version) of the requests that brokers send each other when they start."""


def preload() -> None:
    """Import what every broker uses, so that all share its memory and none waits for it."""
    import_module("embedded_broker.shell.process")
    from embedded_broker import core
    from embedded_broker.core.api import TABLE
    from kafka_protocol.codec import prepare, request_class

    for module in walk_packages(core.__path__, f"{core.__name__}."):
        import_module(module.name)
    for key in TABLE:
        request_class(key)
    for key, version in PRELOADED_CODECS:
        prepare(key, version)


class Zygote:
    """Forks brokers on command and reports what becomes of them."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        """Broker id -> process id."""
        self._parent_pid = os.getppid()
        self._out = os.dup(1)
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)

    def report(self, **report: Any) -> None:
        """Write a report; after the program's end there is no reader."""
        with suppress(BrokenPipeError):
            os.write(self._out, (json.dumps(report) + "\n").encode())

    @property
    def _orphaned(self) -> bool:
        """Return whether the program that started this process has ended.

        The end of standard input usually shows it first. It does not when another child of that
        program has inherited the writing end of the pipe.
        """
        return os.getppid() != self._parent_pid

    def run(self) -> None:
        """Serve commands until the program ends or closes the pipe, then stop the brokers."""
        # A SIGCHLD wakes the poll through the pipe; without a handler it would be ignored.
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.report(ready=os.getpid())
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(self._wake_out, select.POLLIN)
        incomplete = b""
        while not self._orphaned:
            for fd, _ in poll.poll(PARENT_CHECK_MS):
                if fd == self._wake_out:
                    os.read(fd, 4096)
                    self._reap()
                    continue
                data = os.read(0, 65536)
                if not data:
                    self._stop_all()
                    return
                *lines, incomplete = (incomplete + data).split(b"\n")
                for line in lines:
                    command = json.loads(line)
                    self._start(command["id"], Path(command["path"]), command["errors"])
        self._stop_all()

    def _start(self, broker_id: int, path: Path, errors: str) -> None:
        own_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_broker(own_pid, broker_id, path, errors)
        self._children[broker_id] = pid
        self.report(started=broker_id, pid=pid)

    def _become_broker(self, zygote_pid: int, broker_id: int, path: Path, errors: str) -> None:
        """Run the broker in the forked child; does not return."""
        code = EXIT_FAILED
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            platform.die_with_parent(signal.SIGTERM)
            platform.name_process(f"kafka-broker-{broker_id}")
            # The zygote may have died between the fork and the request for a signal at its death.
            if os.getppid() != zygote_pid:
                os._exit(0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            error_fd = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(error_fd, 1)
            os.dup2(error_fd, 2)
            from embedded_broker.shell.process import run_broker

            code = run_broker(path, lambda: self.report(serving=broker_id, pid=os.getpid()))
        except BaseException:
            # Nothing may unwind into the zygote's own loop, which this child is a copy of.
            import traceback

            complain(traceback.format_exc())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for broker_id, pid in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[broker_id]
                self.report(exited=broker_id, pid=pid, code=os.waitstatus_to_exitcode(status))

    def _stop_all(self) -> None:
        """Shut the brokers down, frozen ones too; kill those that do not end in time."""
        for pid in self._children.values():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        poll = select.poll()
        poll.register(self._wake_out, select.POLLIN)
        began = time.monotonic()
        while self._children:
            # Asked anew each time: a dying program closes its pipe before it is gone.
            limit_s = ORPHAN_STOP_S if self._orphaned else STOP_S
            if time.monotonic() > began + limit_s:
                break
            if poll.poll(STOP_CHECK_MS):
                os.read(self._wake_out, 4096)
            self._reap()
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Preload, then serve commands until the program ends; returns the exit code."""
    preload()
    gc.collect()
    gc.freeze()  # a collection in a broker would copy the shared pages
    Zygote().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
