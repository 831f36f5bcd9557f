"""``kafkarium cluster run``: a cluster in the foreground.

Standard output carries one line, when every broker serves. What is wrong is a sentence on
standard error and exit code 2, with nothing left running. SIGINT and SIGTERM stop the cluster in
order, exit code 0.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from embedded_broker.shell.cluster import BrokerStatus, LocalCluster, NotReady, State
from embedded_broker.shell.layout import LOOPBACK, ClusterRefused, ClusterSpec, parse_setting

if TYPE_CHECKING:
    from embedded_broker.shell.admin import TopicSpec

EXIT_REFUSED = 2
EXIT_FAILED = 1
READY_TIMEOUT_S = 60.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"kafkarium: {message}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)


def parser() -> argparse.ArgumentParser:
    whole = _Parser(prog="kafkarium cluster", description="An embedded Kafka cluster.")
    commands = whole.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a cluster in the foreground until Ctrl+C")
    run.add_argument(
        "--brokers", type=int, default=0, help="how many (default: 3, or as many as DIR has)"
    )
    run.add_argument(
        "--port", type=int, default=19092, help="of the first broker; the others count up from it"
    )
    run.add_argument(
        "--host", default="127.0.0.1", help="where the brokers listen (default: this machine only)"
    )
    run.add_argument(
        "--data-dir", type=Path, help="keeps the cluster; without it the data is temporary"
    )
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every broker"
    )
    run.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="NAME:PARTITIONS:REPLICATION",
        help="create it if not there",
    )
    run.add_argument(
        "--restart-after",
        default="2",
        metavar="SECONDS",
        help="start a broker again that died; 'never' leaves it",
    )
    return whole


def main(arguments: Sequence[str]) -> int:
    """``arguments`` begin with the command, ``run``. Returns the exit code."""
    try:
        options = parser().parse_args(list(arguments))
    except SystemExit as e:
        return int(e.code or 0)
    try:
        settings = dict(parse_setting(text) for text in options.set)
        topics = _topics(options.topic)
        restart_after_s = _seconds(options.restart_after)
        if not 0 <= options.port <= 65535:
            raise ValueError(
                f"--port {options.port}: allowed is 1 to 65535, or 0 for any that are free"
            )
        if options.brokers < 0:
            raise ValueError(f"--brokers {options.brokers}: allowed is 1 or more")
    except ValueError as e:
        return _refuse(str(e))
    temporary = None
    if options.data_dir is None:
        temporary = tempfile.mkdtemp(prefix="kafkarium-cluster-")
    try:
        directory = Path(temporary) if temporary else options.data_dir
        spec = ClusterSpec(
            directory,
            options.brokers,
            options.port,
            options.host,
            settings,
            restart_after_s=restart_after_s,
        )
        return _run(spec, topics)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _topics(texts: Sequence[str]) -> list[TopicSpec]:
    """Raises: ValueError."""
    if not texts:
        return []  # and the import is made while the brokers start
    from embedded_broker.shell.admin import TopicSpec

    return [TopicSpec.parse(text) for text in texts]


def _seconds(text: str) -> float | None:
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise ValueError(f"--restart-after {text}: allowed is a number of seconds, or never")
    return seconds


def _refuse(sentence: str) -> int:
    print(f"kafkarium: {sentence}", file=sys.stderr, flush=True)
    return EXIT_REFUSED


def _run(spec: ClusterSpec, topics: Sequence[TopicSpec]) -> int:
    asked = threading.Event()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: asked.set())
    cluster = LocalCluster(spec, _report)
    try:
        if spec.host not in LOOPBACK:
            print(
                f"kafkarium: the brokers listen on {spec.host}: whoever reaches this machine over the network can read "
                "and write all data of this cluster, nothing is encrypted and nobody has to log in",
                file=sys.stderr,
                flush=True,
            )
        try:
            cluster.begin()
        except ClusterRefused as e:
            return _refuse(str(e))
        try:
            _wait_ready(cluster, asked)
            wrong = _create(cluster, topics) if topics and not asked.is_set() else ""
        except NotReady as e:
            code = (
                EXIT_REFUSED
                if any(s.exit_code == EXIT_REFUSED for s in cluster.statuses())
                else EXIT_FAILED
            )
            print(f"kafkarium: {e}", file=sys.stderr, flush=True)
            return code
        if wrong:
            return _refuse(wrong)
        if not asked.is_set():
            print(f"ready bootstrap.servers={cluster.bootstrap_servers}", flush=True)
        while not asked.wait(3600):
            pass
        return 0
    finally:
        cluster.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_ready(cluster: LocalCluster, asked: threading.Event) -> None:
    """As LocalCluster.wait_ready, but a signal ends it."""
    done = threading.Event()
    failure: list[NotReady] = []

    def wait() -> None:
        try:
            cluster.wait_ready(READY_TIMEOUT_S)
        except NotReady as e:
            failure.append(e)
        finally:
            done.set()

    threading.Thread(target=wait, name="ready", daemon=True).start()
    while not done.wait(0.02) and not asked.is_set():
        pass
    if failure and not asked.is_set():
        raise failure[0]


def _create(cluster: LocalCluster, topics: Sequence[TopicSpec]) -> str:
    """What went wrong; empty when nothing did."""
    from embedded_broker.shell.admin import AdminFailed

    try:
        cluster.create_topics(topics)
    except AdminFailed as e:
        return str(e)
    return ""


def _report(status: BrokerStatus) -> None:
    if status.state is State.DIED:
        print(
            f"kafkarium: broker {status.broker_id} died: {status.reason}",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
