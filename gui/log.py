"""The application's log: a file in the platform's log folder, bounded in size and number, without
secrets.

An entry point calls ``install`` once. From then on every named logger (``logging.getLogger(
__name__)``) writes to ``kafkarium.log``, and so do uncaught exceptions of any thread, of asyncio
and of destructors, Python's warnings, and the messages of Qt. At most FILES_KEPT files of
FILE_BYTES each exist: about five megabytes in all.

What may not be read by others does not reach the file: ``redact`` runs over every finished line,
tracebacks included, and the file is readable for its owner only.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from functools import cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from typing_extensions import override

from resources.outgoing import complain

FILE_NAME = "kafkarium.log"
FILE_BYTES = 1_000_000
FILES_KEPT = 5
RECORD_CHARACTERS = 16_000
"""A longer message is cut: one record must not fill the files."""
OWN_PACKAGES = ("gui", "widgets", "kafka_client", "embedded_broker", "kafka_protocol")
"""These log from INFO on, libraries from WARNING on."""
HIDDEN = "[removed]"
EXPECTED_OF_QT = frozenset({"This plugin does not support propagateSizeHints()"})
"""Warnings that tell a reader nothing: without a display there is no frame to tell a size to."""

logger = logging.getLogger(__name__)


def log_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_log_dir("kafkarium", appauthor=False))


# ---- secrets

# Every repetition is bounded: a long text of a cluster must not hold the window up.
_VALUE = r"""(?:"(?:[^"\\]|\\.){0,2000}"|'(?:[^'\\]|\\.){0,2000}'|[^\s&]+)"""
_IS = r"""["']?\s{0,8}[=:]\s{0,8}"""
_KEY_NAME = (
    # SecretStorage is a package, which the diagnostics list with its version.
    r"(?:password|passwd|passphrase|secret(?!storage\b)|token|credential)[\w.-]{0,40}"
)
_MECHANISM = r"(?!(?:enabled\.)?mechanisms?\b)"

_TRIGGERS = (
    "private key", "sasl.", "ssl.", "://", "authorization",
    "password", "passwd", "passphrase", "secret", "token", "credential",
)  # fmt: skip
"""Each pattern matches only texts that hold one of these, in letters of either case."""


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(what to replace, by what). Compiled when a text first needs it: few do, and none before the
    window is painted."""
    return (
        # A private key in PEM, also one whose end is missing.
        (
            re.compile(
                r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?"
                r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
                re.S,
            ),
            HIDDEN,
        ),
        # A JAAS line holds user and password among other words: the rest of the line goes.
        (re.compile(rf"(sasl\.jaas\.config{_IS}).*$", re.I | re.M), rf"\1{HIDDEN}"),
        # user:password@ of a URL.
        (re.compile(r"""(\b[a-z][a-z0-9+.-]{0,20}://)[^\s"'<>]{1,300}@""", re.I), rf"\1{HIDDEN}@"),
        (
            re.compile(rf"""(\bauthorization{_IS}["']?\w{{1,20}}\s+)[^\s"',]+""", re.I),
            rf"\1{HIDDEN}",
        ),
        # Every sasl.* but the mechanism; the keys of ssl.*.
        (re.compile(rf"(\bsasl\.{_MECHANISM}[\w.-]{{1,60}}{_IS}){_VALUE}", re.I), rf"\1{HIDDEN}"),
        (
            re.compile(rf"(\bssl\.(?:keystore\.)?key(?:\.\w{{1,20}}){{0,2}}{_IS}){_VALUE}", re.I),
            rf"\1{HIDDEN}",
        ),
        (re.compile(rf"({_KEY_NAME}{_IS}){_VALUE}", re.I), rf"\1{HIDDEN}"),
    )


def redact(text: str) -> str:
    """``text`` without passwords, keys, tokens and credentials in URLs."""
    lowered = text.casefold()  # as re.I compares
    if not any(trigger in lowered for trigger in _TRIGGERS):
        return text
    for pattern, replacement in _patterns():
        text = pattern.sub(replacement, text)
    return text


# ---- the file


class Formatter(logging.Formatter):
    """One line a record, tracebacks indented below it. Control characters of a message are
    written as escapes, so that a text of a cluster cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<8} {name} [{threadName}] {message}", style="{")
        self.default_msec_format = "%s.%03d"

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _one_line(record.message)
        return super().formatMessage(record)

    @override
    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        text = super().formatException(ei)
        return "\n".join(f"    {_one_line(line)}" for line in text.splitlines())


def _one_line(text: str) -> str:
    if len(text) > RECORD_CHARACTERS:
        text = f"{text[:RECORD_CHARACTERS]}… ({len(text) - RECORD_CHARACTERS:,} more characters)"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class LogFile(RotatingFileHandler):
    """Rotates by size. Several windows may write to one file: each notices when another has
    rotated it. A disk that takes no more is reported once, then nothing is written."""

    def __init__(self, path: Path, on_failed: Callable[[OSError], None]) -> None:
        self._on_failed = on_failed
        super().__init__(
            path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT - 1, encoding="utf-8", delay=False
        )
        self.setFormatter(Formatter())

    @override
    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_owner_only)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and self._rotated_by_another(self.stream):
            self.stream.close()
            self.stream = self._open()
        super().emit(record)

    def _rotated_by_another(self, stream: IO[str]) -> bool:
        try:
            there, ours = os.stat(self.baseFilename), os.fstat(stream.fileno())
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    @override
    def doRollover(self) -> None:
        try:
            super().doRollover()
        except PermissionError:
            # Windows does not rename a file that another process has open: write on.
            self.stream = self._open()

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """``logging`` calls this inside the except clause of ``emit``."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._on_failed(error)
        else:
            super().handleError(record)  # a log call with wrong arguments: printed with its place


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# ---- installing


class ApplicationLog:
    """``path`` is the file, None when it cannot be written; ``problem`` then says why, as a
    sentence. ``close`` takes everything back that ``install`` set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = folder / FILE_NAME
        self.problem = ""
        self._handler: logging.Handler | None = None
        self._undo: list[Callable[[], object]] = []
        self._open(folder)
        self._set_levels()
        self._hook_exceptions()

    def _open(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handler: logging.Handler = LogFile(folder / FILE_NAME, self._failed)
        except OSError as error:
            self._report(error)
            handler = logging.NullHandler()
        self._use(handler)

    def _use(self, handler: logging.Handler) -> None:
        root = logging.getLogger()
        if self._handler is not None:
            root.removeHandler(self._handler)
        self._handler = handler
        root.addHandler(handler)

    def _failed(self, error: OSError) -> None:
        """The file was written before and is not now (a full disk, say)."""
        handler = self._handler
        self._use(logging.NullHandler())
        self._report(error)
        if handler is not None:
            handler.close()

    def _report(self, error: OSError) -> None:
        self.path = None
        self.problem = (
            f"The log cannot be written in {self.folder}: {error.strerror or error}. "
            "Kafkarium goes on without a log."
        )
        complain(f"kafkarium: {self.problem}")

    def _set_levels(self) -> None:
        for name in OWN_PACKAGES:
            own = logging.getLogger(name)
            self._undo.append(lambda own=own, level=own.level: own.setLevel(level))  # type: ignore[misc]
            own.setLevel(logging.INFO)
        logging.captureWarnings(True)
        self._undo.append(lambda: logging.captureWarnings(False))

    def _hook_exceptions(self) -> None:
        """Log uncaught exceptions, then call the previous hook, which prints them. Asyncio
        reports through its own logger, which ends in the same file."""
        before, thread_before, unraisable_before = (
            sys.excepthook,
            threading.excepthook,
            sys.unraisablehook,
        )

        def uncaught(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            if not issubclass(kind, KeyboardInterrupt):
                logger.critical("uncaught exception", exc_info=(kind, error, trace))
            before(kind, error, trace)

        def uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
            error = arguments.exc_value or arguments.exc_type()
            name = arguments.thread.name if arguments.thread else "a thread that is gone"
            logger.critical(
                "uncaught exception in thread %s",
                name,
                exc_info=(arguments.exc_type, error, arguments.exc_traceback),
            )
            thread_before(arguments)

        def unraisable(arguments: Any) -> None:
            error = arguments.exc_value or arguments.exc_type()
            logger.error(
                "exception ignored: %s %r",
                arguments.err_msg or "in",
                arguments.object,
                exc_info=(arguments.exc_type, error, arguments.exc_traceback),
            )
            unraisable_before(arguments)

        sys.excepthook, threading.excepthook = uncaught, uncaught_in_thread
        sys.unraisablehook = unraisable

        def undo() -> None:
            sys.excepthook, threading.excepthook = before, thread_before
            sys.unraisablehook = unraisable_before

        self._undo.append(undo)

    def take_qt_messages(self) -> None:
        """Log the messages of Qt too. Imports Qt: for entry points that have a window."""
        from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

        levels = {
            QtMsgType.QtDebugMsg: logging.DEBUG,
            QtMsgType.QtInfoMsg: logging.INFO,
            QtMsgType.QtWarningMsg: logging.WARNING,
            QtMsgType.QtCriticalMsg: logging.ERROR,
            QtMsgType.QtFatalMsg: logging.CRITICAL,
        }

        def write(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
            category = context.category or "default"
            expected = message in EXPECTED_OF_QT
            level = logging.DEBUG if expected else levels[kind]
            logging.getLogger(f"qt.{category}").log(level, "%s", message)
            if not expected:
                complain(redact(message))

        before = qInstallMessageHandler(write)
        self._undo.append(lambda: qInstallMessageHandler(before))

    def close(self) -> None:
        """Take the hooks back and close the file."""
        global _installed
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler.close()
        if _installed is self:
            _installed = None


_installed: ApplicationLog | None = None


def install(command: str, folder: Path | None = None) -> ApplicationLog:
    """Start the log of this process; ``command`` is what was started (``window``, ``tour``...).
    A second call returns the log that is there."""
    global _installed
    if _installed is None:
        _installed = ApplicationLog(folder or log_folder())
        logger.info(
            "%s started: Python %s on %s, process %d",
            command,
            sys.version.split()[0],
            sys.platform,
            os.getpid(),
        )
    return _installed


def installed() -> ApplicationLog | None:
    """The log of this process, or None before ``install``."""
    return _installed
