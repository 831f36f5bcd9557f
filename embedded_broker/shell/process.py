"""One broker in this process: ``python -m embedded_broker server.properties``.

Exit codes: 0 after a controlled shutdown; 2 when the broker cannot start, with one sentence on
standard error; 70 after an internal error.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from embedded_broker.core.effects import Level
from embedded_broker.core.ports import StorageFailed
from embedded_broker.options import SettingError, Settings
from embedded_broker.shell import platform
from embedded_broker.shell.authentication import SecretRefused, checked, find_secret
from embedded_broker.shell.broker_log import BrokerLog
from embedded_broker.shell.loop import Loop
from embedded_broker.shell.metadata_cache import MetadataCache
from embedded_broker.shell.runner import Runner, SystemClock, SystemRng
from embedded_broker.shell.scrubber import Scrubber
from embedded_broker.shell.server import RESERVED_FOR_BROKERS, Limits, ListenFailed, bind
from embedded_broker.shell.storage import files
from embedded_broker.shell.storage.disk import LogDirectory
from embedded_broker.shell.storage.identity import DirectoryRefused
from resources.outgoing import complain

EXIT_REFUSED = 2
PID_FILE = "broker.pid"
LOG_FILE = "broker.log"
STOP_GRACE_MS = 15_000
FILES_OF_A_LOG = 2
"""Of the newest segment: its records, and the index that is mapped into memory."""
"""How long a controlled shutdown may take before the broker just ends."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Refused(Exception):
    """The broker cannot start; the text is a sentence."""


def read_settings(path: Path) -> Settings:
    """Read and check a server.properties.

    Raises:
        Refused: it cannot be read, or a setting is invalid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise Refused(f"cannot read {path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise Refused(f"{path} is not UTF-8 text: {e.reason}") from e
    try:
        return Settings.parse(text)
    except SettingError as e:
        raise Refused(f"{path}: {e}") from e


def limits_of(settings: Settings, open_files: int) -> Limits:
    """The limits of connections that these settings ask for; -1 means never idle. Half of the
    files that may be open stay free for logs and for connections to other brokers."""
    idle_ms = settings["connections.max.idle.ms"]
    return Limits(
        request_max_bytes=settings["socket.request.max.bytes"],
        max_connections=min(
            settings["max.connections"], max(1, open_files // 2 - RESERVED_FOR_BROKERS)
        ),
        max_connections_per_ip=settings["max.connections.per.ip"],
        idle_ms=idle_ms if idle_ms > 0 else 2**62,
    )


def logs_of(open_files: int) -> int:
    """How many partition logs may be open: each has two files, and they have the half that is not
    for clients, but for what a broker needs besides."""
    return max(1, (open_files // 2 - 2 * RESERVED_FOR_BROKERS) // FILES_OF_A_LOG)


def run_broker(
    path: Path, serving: Callable[[], None] = lambda: None, parent: TextIO | None = None
) -> int:
    """Run the broker of this server.properties until it stops; returns the exit code.

    ``serving`` is called once, when the broker is registered and unfenced. A line from ``parent``
    requests a controlled shutdown, and so does its end of file: the program at the other end of
    the pipe has died.
    """
    try:
        return _run(path.absolute(), serving, parent)
    except (Refused, DirectoryRefused, ListenFailed, SecretRefused, StorageFailed) as e:
        complain(f"kafkarium: {e}")
        return EXIT_REFUSED


def _run(path: Path, serving: Callable[[], None], parent: TextIO | None) -> int:
    from embedded_broker.core.broker import Broker

    settings = read_settings(path)
    open_files = platform.raise_open_files_limit()
    limits = limits_of(settings, open_files)
    folder = path.parent
    data = Path(settings.log_dir)
    if not data.is_absolute():
        data = folder / data
    secret_text = settings["cluster.secret"]
    sockets = []
    try:
        for listener in settings.listeners:
            sockets.append((bind(listener.host or "0.0.0.0", listener.port), listener.name))
        logs_most = logs_of(open_files)
        disk = LogDirectory(data, settings.node_id, settings.cluster_id, logs_most=logs_most)
    except BaseException:
        for sock, _ in sockets:
            sock.close()
        raise
    try:
        log = BrokerLog(folder / LOG_FILE)
    except OSError as e:
        raise Refused(f"cannot write {folder / LOG_FILE}: {e.strerror or e}") from e
    secret = (
        checked(secret_text.encode(), "the setting cluster.secret")
        if secret_text
        else find_secret(folder.parent, folder, data)
    )
    loop = Loop()
    runner = Runner(loop, disk, log, settings.node_id, secret, limits)
    for peer_id, (host, port) in settings.voters.items():
        runner.peers.set_address(peer_id, host, port)
    for sock, name in sockets:
        runner.server.listen(sock, name)
    _log_start(log, settings, disk)
    if limits.max_connections < settings["max.connections"]:
        log.write(
            Level.WARNING,
            f"at most {limits.max_connections} client connections instead of"
            f" {settings['max.connections']} (max.connections): the system allows this process too"
            " few open files; raise its limit (ulimit -n)",
        )
    broker = Broker(settings, disk, SystemClock(), SystemRng())
    for line in disk.recovery_notes():
        log.write(Level.WARNING, line)
    runner.server.metadata_cache = MetadataCache(
        lambda: (broker.image.version, broker.quorum.leader_id, broker.quorum.falls_behind)
    )
    runner.server.inspector.is_enabled = lambda: bool(
        broker.env.config.broker("log.validate.records")
    )
    config = broker.env.config
    scrubber = Scrubber(
        loop,
        disk,
        lambda: int(config.broker("log.check.bytes.per.second")),
        lambda: int(config.broker("log.check.interval.ms")),
        lambda text: log.write(Level.WARNING, text),
    )
    scrubber.start()
    runner.is_serving = lambda: broker.lifecycle.is_ready
    runner.on_serving = serving
    _stop_on_signals(loop, runner, log)
    if parent is not None:
        _stop_with_parent(parent, loop, runner, log)
    pid_file = folder / PID_FILE
    files.write_whole(pid_file, f"{os.getpid()}\n", durable=False)
    try:
        code = runner.run(broker)
    finally:
        pid_file.unlink(missing_ok=True)
    log.write(Level.INFO, f"stopped with exit code {code}")
    log.close()
    return code


def _log_start(log: BrokerLog, settings: Settings, disk: LogDirectory) -> None:
    """Log what was started: addresses, logs, what recovery did, listeners that are not local."""
    addresses = ", ".join(f"{one.name}://{one.host}:{one.port}" for one in settings.listeners)
    count = sum(1 for _ in disk.logs())
    log.write(
        Level.INFO,
        f"starting broker {settings.node_id} of cluster {disk.cluster_id}, pid {os.getpid()}, "
        f"listeners {addresses}, log directory {disk.path} with {count} partition logs, "
        f"previous process {disk.last_stop.value}",
    )
    for one in settings.listeners:
        if one.host not in LOOPBACK:
            where = one.host or "every address of this machine"
            log.write(
                Level.WARNING,
                f"listener {one.name} on {where} has no authentication: "
                "anyone who can reach it can read and write all data",
            )


def _stop_on_signals(loop: Loop, runner: Runner, log: BrokerLog) -> None:
    """SIGTERM and SIGINT request a controlled shutdown. A second signal, or a shutdown that takes
    longer than STOP_GRACE_MS, ends the broker at once."""
    signals = 0

    def stop(number: int) -> None:
        nonlocal signals
        signals += 1
        name = signal.Signals(number).name
        if signals > 1:
            log.write(Level.WARNING, f"received {name} again: stopping at once")
            end()
            return
        log.write(Level.INFO, f"received {name}: beginning the controlled shutdown")
        loop.call_at(loop.now_ms() + STOP_GRACE_MS, end)
        runner.request_stop()

    def end() -> None:
        runner.exit_code = 0 if runner.exit_code is None else runner.exit_code
        loop.stop()

    def on_signal(number: int, _frame: object) -> None:
        # Python may run this anywhere in the core: only the loop may call the core.
        loop.post(lambda: stop(number))

    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(loop.wake_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)


def _stop_with_parent(parent: TextIO, loop: Loop, runner: Runner, log: BrokerLog) -> None:
    """Stop on the first line from ``parent``, or at its end."""

    def wait() -> None:
        try:
            line = parent.readline()
        except (OSError, ValueError):
            line = ""  # a broken pipe is an ended pipe

        def stop() -> None:
            if line:
                log.write(Level.INFO, "stop requested by the program that started this broker")
            else:
                log.write(Level.WARNING, "the program that started this broker ended: stopping")
            loop.call_at(loop.now_ms() + STOP_GRACE_MS, loop.stop)
            runner.request_stop()

        loop.post(stop)

    threading.Thread(target=wait, name="parent", daemon=True).start()
