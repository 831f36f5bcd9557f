"""The command ``kafkarium``: the window, or one of the commands that need none.

Imports nothing before the command is known. ``cluster``, ``lag`` and ``tour`` parse
their own arguments, so that the window's libraries stay out of a command that runs on a server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from typing_extensions import override

from resources.outgoing import complain, say

DESCRIPTION = "A desktop application for Apache Kafka, with a real cluster inside."
EPILOG = """\
Without a command the window opens. 'kafkarium COMMAND --help' says more.

examples:
  kafkarium --demo                              the window with a live demo cluster
  kafkarium --bootstrap broker-1:9092           the window, connected to a cluster
  kafkarium cluster run --brokers 3             an embedded cluster in the foreground
  kafkarium lag --bootstrap broker-1:9092 --watch
"""
NO_DISPLAY = (
    "kafkarium: there is no display to open a window on. Without one, use 'kafkarium cluster run', "
    "'kafkarium tour' or 'kafkarium lag'."
)
EXIT_NO_DISPLAY = 1
EXIT_USAGE = 2


def _cluster(arguments: Sequence[str]) -> int:
    from embedded_broker.shell.command import main

    return main(arguments)


def _lag(arguments: Sequence[str]) -> int:
    from kafka_client.lag_command import main

    return main(arguments)


def _tour(arguments: Sequence[str]) -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from gui.tour import main

    return main(arguments)


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "cluster": (_cluster, "run an embedded Kafka cluster in the foreground"),
    "lag": (_lag, "print the lag of every consumer group as a table"),
    "tour": (_tour, "write a picture of every page over a live cluster, without a display"),
}


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        complain(f"kafkarium: {message}. Try 'kafkarium --help'.")
        sys.exit(EXIT_USAGE)


class _Version(argparse.Action):
    """The installed version, looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    @override
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"kafkarium {version('kafkarium')}")
        except PackageNotFoundError:
            say("kafkarium (not installed)")
        sys.exit(0)


def parser() -> argparse.ArgumentParser:
    whole = _Parser(
        prog="kafkarium",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action=_Version, help="print the version and exit")
    _window_options(whole, demo=False, bootstrap="")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    window = commands.add_parser("window", help="open the window (the default)", allow_abbrev=False)
    _window_options(window, demo=argparse.SUPPRESS, bootstrap=argparse.SUPPRESS)
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return whole


def _window_options(of: argparse.ArgumentParser, demo: object, bootstrap: str) -> None:
    """A subparser passes SUPPRESS: its defaults must not undo what stands before the command."""
    start = of.add_mutually_exclusive_group()
    start.add_argument(
        "--demo", action="store_true", default=demo, help="start the Notifications demo cluster"
    )
    start.add_argument(
        "--bootstrap",
        "--connect",
        metavar="HOST:PORT[,...]",
        default=bootstrap,
        help="connect to a cluster without security",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong arguments."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        start_log(words[0])
        return COMMANDS[words[0]][0](words[1:])
    try:
        options = parser().parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    return window(options.demo, options.bootstrap)


def window(demo: bool = False, bootstrap: str = "") -> int:
    if bootstrap:
        from kafka_client.errors import BadInput
        from kafka_client.profile import quick

        try:
            quick(bootstrap)
        except BadInput as error:
            complain(f"kafkarium: {error} {error.next_step}".rstrip())
            return EXIT_USAGE
    if not has_display():
        complain(NO_DISPLAY)
        return EXIT_NO_DISPLAY
    start_log("window")
    from gui.app import run

    return run(demo, bootstrap)


def start_log(command: str) -> None:
    from gui import log

    installed = log.install(command)
    if command in ("window", "tour"):
        installed.take_qt_messages()


def has_display() -> bool:
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
