"""``python -m embedded_broker server.properties``: one broker, this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

USAGE = "usage: python -m embedded_broker server.properties"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stderr)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    from embedded_broker.shell.process import run_broker

    started_by_cluster = os.environ.pop("KAFKARIUM_PARENT", "") == "stdin"

    def serving() -> None:
        if started_by_cluster:
            print("serving", flush=True)

    return run_broker(Path(arguments[0]), serving, sys.stdin if started_by_cluster else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
