"""The history of the clients: what they requested and received, one JSON line per operation.

``{"i": 17, "type": "invoke|ok|fail|info", "proc": "p1", "f": "send|poll|commit|...", "v": ...,
"t_ms": ...}``. An operation that timed out is ``info``: it may have happened, or may still happen.
Source: the histories of Jepsen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """The begin or the end of one operation of one client."""

    number: int
    type: str
    process: str
    function: str
    value: Any
    time_ms: int

    def line(self) -> str:
        """The operation as a line of JSON."""
        form = {"i": self.number, "type": self.type, "proc": self.process, "f": self.function}
        return json.dumps(form | {"v": self.value, "t_ms": self.time_ms})


class History:
    """Operations in the order in which they began and ended; ``counts`` has them by function and
    type."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.counts: dict[str, int] = {}
        self.on_operation: Callable[[str, str, str, Any], None] | None = None
        """Called with type, process, function and value of each."""

    def add(self, type_: str, process: str, function: str, value: Any, time_ms: int) -> None:
        """Add the begin or the end of an operation."""
        self.operations.append(
            Operation(len(self.operations), type_, process, function, value, time_ms)
        )
        key = f"{function} {type_}"
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.on_operation is not None:
            self.on_operation(type_, process, function, value)


def write(path: Path, operations: Iterable[Operation]) -> None:
    """Write operations to a file of JSON lines."""
    path.write_text("".join(f"{operation.line()}\n" for operation in operations), encoding="utf-8")


def read(path: Path) -> list[Operation]:
    """Read the operations that ``write`` wrote."""
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Operation(x["i"], x["type"], x["proc"], x["f"], x["v"], x["t_ms"]) for x in lines]
