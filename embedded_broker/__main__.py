"""``python -m embedded_broker server.properties``: one broker in this process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from resources.outgoing import say


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m embedded_broker",
        description="Run one broker in this process until SIGTERM or SIGINT.",
        epilog="Exit code 0 after a controlled shutdown, 2 when the broker cannot start, "
        "70 after an internal error.",
    )
    made.add_argument("properties", type=Path, help="path of the broker's server.properties")
    made.add_argument(
        "--supervised",
        action="store_true",
        help="print 'serving' when the broker serves; shut down after a line on standard input, "
        "or at its end",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run the broker; returns the exit code."""
    options = parser().parse_args(arguments)
    from embedded_broker.shell.process import run_broker

    def serving() -> None:
        if options.supervised:
            say("serving")

    return run_broker(options.properties, serving, sys.stdin if options.supervised else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
