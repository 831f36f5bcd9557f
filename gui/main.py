"""The command ``kafkarium``: the window, or one of the commands that need none. Nothing is
imported before it is known what is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

HELP = """\
usage: kafkarium [--demo | --connect HOST:PORT]
       kafkarium cluster run [--brokers N] [--port PORT] ...
       kafkarium lag --bootstrap HOST:PORT ...
       kafkarium tour --out DIR [--bootstrap HOST:PORT]

Without a command the window opens; --demo starts the Notifications cluster in it, --connect opens a cluster.
  cluster   an embedded Kafka cluster in the foreground
  lag       the lag of every consumer group as a text table
  tour      a picture of every page over a live cluster, without a display
'kafkarium COMMAND --help' says more.
"""
NO_DISPLAY = (
    "kafkarium: there is no display to open a window on; without one there are 'kafkarium cluster run', "
    "'kafkarium tour' and 'kafkarium lag'."
)
EXIT_NO_DISPLAY = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    match words:
        case ["cluster", *rest]:
            from embedded_broker.shell.command import main as cluster

            return cluster(rest)
        case ["lag", *rest]:
            from kafka_client.lag_command import main as lag

            return lag(rest)
        case ["tour", *rest]:
            os.environ["QT_QPA_PLATFORM"] = "offscreen"
            from gui.tour import main as tour

            return tour(rest)
        case ["-h" | "--help", *_]:
            print(HELP, end="")
            return 0
        case ["--version"]:
            from importlib.metadata import PackageNotFoundError, version

            try:
                print(version("kafkarium"))
            except PackageNotFoundError:
                print("not installed")
            return 0
        case [] | ["--demo"]:
            return window(demo=bool(words))
        case ["--connect", address]:
            return window(bootstrap=address)
    print(f"kafkarium: {words[0]} is no command of it.\n{HELP}", file=sys.stderr, end="")
    return EXIT_USAGE


def window(demo: bool = False, bootstrap: str = "") -> int:
    if not has_display():
        print(NO_DISPLAY, file=sys.stderr)
        return EXIT_NO_DISPLAY
    from gui.app import run

    return run(demo, bootstrap)


def has_display() -> bool:
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
