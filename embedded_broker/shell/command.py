"""``kafkarium cluster run``: a cluster in the foreground.

Standard output carries one line, as soon as every broker serves. Problems are one sentence on
standard error; the exit code is then 2 if nothing was started, else 1, and nothing keeps running.
SIGINT and SIGTERM shut the cluster down, exit code 0. With ``--stop-on-eof`` the end of standard
input does the same, so that the cluster ends with the program that started it, however that ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from embedded_broker.options import names_secret
from embedded_broker.shell.cluster import BrokerStatus, LocalCluster, NotReady, State
from embedded_broker.shell.layout import (
    LOOPBACK,
    MAX_PORT,
    ClusterRefused,
    ClusterSpec,
    parse_setting,
)
from resources.outgoing import complain, say

if TYPE_CHECKING:
    from embedded_broker.shell.admin import TopicSpec

EXIT_REFUSED = 2
EXIT_FAILED = 1
READY_TIMEOUT_S = 60.0
MAX_RESTART_S = 1e6


class _Parser(argparse.ArgumentParser):
    """Reports an error as one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        complain(f"kafkarium: {message}")
        sys.exit(EXIT_REFUSED)


def port(text: str) -> int:
    """Raises: ArgumentTypeError."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text}: allowed is 0 (any free ports) to {MAX_PORT}")
    return int(text)


def count(text: str) -> int:
    """Raises: ArgumentTypeError."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed is 1 or more")
    return int(text)


def restart_delay(text: str) -> float | None:
    """Seconds, or None for never. Raises: ArgumentTypeError."""
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < MAX_RESTART_S:
        raise argparse.ArgumentTypeError(f"{text}: allowed is a number of seconds, or never")
    return seconds


def setting(text: str) -> tuple[str, str]:
    """(key, value). Raises: ArgumentTypeError."""
    try:
        key, value = parse_setting(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e
    if names_secret(key):
        raise argparse.ArgumentTypeError(
            f"{key} is a secret, and every user of this machine can read the arguments of a"
            " program; a cluster makes its cluster.secret by itself, and other secrets have no"
            " effect in it"
        )
    return key, value


def topic(text: str) -> TopicSpec:
    """Raises: ArgumentTypeError."""
    # Imported only for a topic: without one it would delay the start of the brokers.
    from embedded_broker.shell.admin import TopicSpec

    try:
        return TopicSpec.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def parser() -> argparse.ArgumentParser:
    """The command line of ``kafkarium cluster``."""
    whole = _Parser(prog="kafkarium cluster", description="An embedded Kafka cluster.")
    commands = whole.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a cluster in the foreground until Ctrl+C")
    run.add_argument(
        "--brokers",
        type=count,
        default=0,
        help="number of brokers (default: 3, or as many as DATA_DIR has)",
    )
    run.add_argument(
        "--port",
        type=port,
        default=19092,
        help="port of the first broker; the others count up from it (default: %(default)s)",
    )
    run.add_argument(
        "--host",
        default="127.0.0.1",
        help="address on which the brokers listen (default: %(default)s, this machine only)",
    )
    run.add_argument(
        "--data-dir", type=Path, help="directory of the data; without it the data is temporary"
    )
    run.add_argument(
        "--set",
        action="append",
        type=setting,
        default=[],
        metavar="KEY=VALUE",
        help="a setting of every broker; may be repeated",
    )
    run.add_argument(
        "--topic",
        action="append",
        type=topic,
        default=[],
        metavar="NAME:PARTITIONS:REPLICATION",
        help="create this topic unless it exists; may be repeated",
    )
    run.add_argument(
        "--restart-after",
        type=restart_delay,
        default=2.0,
        metavar="SECONDS",
        help="restart a broker that died after so many seconds, or 'never' (default: %(default)g)",
    )
    run.add_argument(
        "--stop-on-eof",
        action="store_true",
        help="shut the cluster down when standard input ends",
    )
    return whole


def main(arguments: Sequence[str]) -> int:
    """Run ``kafkarium cluster`` with these arguments, the first of which is ``run``; returns the
    exit code."""
    try:
        options = parser().parse_args(list(arguments))
    except SystemExit as e:
        return int(e.code or 0)
    temporary = None
    if options.data_dir is None:
        temporary = tempfile.mkdtemp(prefix="kafkarium-cluster-")
    try:
        spec = ClusterSpec(
            Path(temporary) if temporary else options.data_dir,
            options.brokers,
            options.port,
            options.host,
            dict(options.set),
            restart_after_s=options.restart_after,
        )
        with stop_requests(options.stop_on_eof) as stop:
            return _run(spec, options.topic, stop)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


class StopRequests:
    """Lets the main thread wait for a request to stop, or for ``notify`` from another thread.

    A socket carries both, because a signal interrupts the wait for one on every system, and a
    signal handler may use no lock.
    """

    def __init__(self) -> None:
        self.requested = False
        self._out, self._in = socket.socketpair()
        self._in.setblocking(False)

    @property
    def wake_fd(self) -> int:
        """A descriptor for ``signal.set_wakeup_fd``."""
        return self._in.fileno()

    def request(self) -> None:
        """Request the stop; from any thread or signal handler."""
        self.requested = True
        self.notify()

    def notify(self) -> None:
        """End the current ``wait``; from any thread or signal handler."""
        with suppress(OSError):  # full: the wait ends anyway; closed: nobody waits any more
            self._in.send(b".")

    def wait(self) -> None:
        """Block until the next request or notification."""
        self._out.recv(4096)

    def close(self) -> None:
        self._out.close()
        self._in.close()


@contextmanager
def stop_requests(stop_on_eof: bool) -> Iterator[StopRequests]:
    """Turn SIGINT and SIGTERM into requests to stop, and the end of standard input if wanted."""
    stop = StopRequests()
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(stop.wake_fd, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda *_: stop.request())
    if stop_on_eof:
        # os.read, not sys.stdin: a thread that blocks in a buffered read breaks the exit.
        def read() -> None:
            while os.read(0, 4096):
                continue
            stop.request()

        threading.Thread(target=read, name="stdin", daemon=True).start()
    try:
        yield stop
    finally:
        if handlers:
            signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        stop.close()


def _run(spec: ClusterSpec, topics: Sequence[TopicSpec], stop: StopRequests) -> int:
    """Run the cluster until a request to stop; returns the exit code."""
    cluster = LocalCluster(spec, _report)
    if spec.host not in LOOPBACK:
        _complain(
            f"the brokers listen on {spec.host}: anyone who can reach this machine over the "
            "network can read and write all data, without encryption or login"
        )
    try:
        try:
            cluster.begin()
            _unless_stopped(lambda: cluster.wait_ready(READY_TIMEOUT_S), stop)
            failure = _create(cluster, topics, stop) if topics else ""
        except ClusterRefused as e:
            return _complain(str(e), EXIT_REFUSED)
        except NotReady as e:
            refused = any(s.exit_code == EXIT_REFUSED for s in cluster.statuses())
            return _complain(str(e), EXIT_REFUSED if refused else EXIT_FAILED)
        if failure:
            return _complain(failure, EXIT_REFUSED)
        if not stop.requested:
            say(f"ready bootstrap.servers={cluster.bootstrap_servers}")
        while not stop.requested:
            stop.wait()
        return 0
    finally:
        cluster.stop()


def _complain(sentence: str, exit_code: int = 0) -> int:
    """Print a sentence on standard error; returns the exit code."""
    complain(f"kafkarium: {sentence}")
    return exit_code


def _create(cluster: LocalCluster, topics: Sequence[TopicSpec], stop: StopRequests) -> str:
    """Create the topics; returns why that failed, or an empty string."""
    from embedded_broker.shell.admin import AdminFailed

    try:
        _unless_stopped(lambda: cluster.create_topics(topics), stop)
    except AdminFailed as e:
        return str(e)
    return ""


def _unless_stopped(work: Callable[[], None], stop: StopRequests) -> None:
    """Do blocking work in a thread, but return as soon as the stop is requested.

    Raises:
        Exception: what the work raised.
    """
    failures: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        try:
            work()
        except Exception as e:  # raised again in the main thread
            failures.append(e)
        finally:
            done.set()
            stop.notify()

    threading.Thread(target=run, name="start", daemon=True).start()
    while not done.is_set() and not stop.requested:
        stop.wait()
    if failures and not stop.requested:
        raise failures[0]


def _report(status: BrokerStatus) -> None:
    if status.state is State.DIED:
        _complain(f"broker {status.broker_id} died: {status.reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
