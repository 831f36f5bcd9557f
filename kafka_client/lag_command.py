"""kafkarium lag --bootstrap HOST:PORT,...: the lag of consumer groups as a text table; --watch
prints it again and again.

One row per group, or per partition with --partitions. Lag in seconds needs two samples, or the
timestamp of the first record that is not consumed.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from kafka_client.errors import ClientError
from kafka_client.gateway import open_client
from kafka_client.model import ClusterSnapshot, Datum, Group
from kafka_client.profile import ConnectionProfile, quick
from kafka_client.sampling import ConnectionKind, ConnectionState, Sampler, Schedule, SeriesStore
from resources.outgoing import complain, say, say_json, visible
from resources.wording import seconds

UNKNOWN = "-"
SECONDS_WAIT_S = 4.0
"""How long a single table waits for lags in seconds."""
WATCH_LEAST_S = 0.2
EVERYTHING = 1_000_000_000
CELL_MOST = 249

Row = dict[str, object]
"""One row of the table by column; None is unknown."""


def main(argv: Sequence[str]) -> int:
    """Return 0 when the table was printed, 1 when the cluster could not be read, 2 for wrong
    arguments."""
    options = _parser().parse_args(list(argv))
    try:
        profile = quick(options.bootstrap, read_only=True)
    except ClientError as error:
        complain(f"kafkarium lag: {error} {error.next_step}".rstrip())
        return 2
    try:
        return asyncio.run(_LagCommand(options).run(profile))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kafkarium lag", description="Show the lag of consumer groups."
    )
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT,...")
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        help="show only this group; may be given several times",
    )
    parser.add_argument("--partitions", action="store_true", help="print a row for every partition")
    parser.add_argument(
        "--watch",
        nargs="?",
        const=2.0,
        type=float,
        metavar="SECONDS",
        help="print the table again every SECONDS (2)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per row instead of a table"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="give up after SECONDS without an answer (10)",
    )
    return parser


class _LagCommand:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._state = ConnectionState(ConnectionKind.CONNECTING, "")
        self._has_lags = asyncio.Event()
        self._is_lost = asyncio.Event()

    async def run(self, profile: ConnectionProfile) -> int:
        client = open_client(profile)
        sampler = Sampler(
            client,
            SeriesStore(),
            Schedule(small_partitions=EVERYTHING, partition_series=0),
            on_snapshot=lambda snapshot, _changes: self._on_snapshot(snapshot),
            on_state=self._on_state,
            name=profile.name,
        )
        sampler.start()
        try:
            return await self._print_tables(sampler)
        finally:
            await sampler.stop()
            await client.close()

    async def _print_tables(self, sampler: Sampler) -> int:
        if not await self._wait_for_lags():
            message = f"{self._state.sentence} {self._state.next_step}".strip()
            if self._state.kind is ConnectionKind.CONNECTING:
                message = f"No answer within {seconds(self._options.timeout)}."
            complain(f"kafkarium lag: {message}")
            return 1
        if self._options.watch is None:
            await self._wait_for_seconds(sampler)
            self._print(sampler.snapshot)
            return 0
        while True:
            self._print(sampler.snapshot)
            await asyncio.sleep(max(WATCH_LEAST_S, self._options.watch))

    def _print(self, snapshot: ClusterSnapshot) -> None:
        groups = self._chosen(snapshot)
        rows = partition_rows(groups) if self._options.partitions else group_rows(groups)
        if self._options.json:
            for row in rows:
                say_json(row)
            return
        text = table(rows) if rows else "No consumer groups."
        if self._options.watch is None:
            say(text)
        else:
            say(f"{self._heading()}\n{text}", clear=True)

    def _heading(self) -> str:
        """The time, and why the table is old if it is."""
        stale = ""
        if self._state.kind is not ConnectionKind.CONNECTED:
            stale = f"  ({self._state.sentence})"
        return f"{time.strftime('%H:%M:%S')}{stale}"

    async def _wait_for_lags(self) -> bool:
        """Wait for the first lags, at most ``--timeout``. Returns False at once when the connection
        fails."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._has_lags, self._is_lost)]
        try:
            await asyncio.wait(
                waits, timeout=self._options.timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        return self._has_lags.is_set()

    async def _wait_for_seconds(self, sampler: Sampler) -> None:
        deadline_s = time.monotonic() + SECONDS_WAIT_S
        while time.monotonic() < deadline_s:
            groups = self._chosen(sampler.snapshot)
            if all(g.lag_seconds is not None or not g.lag_records for g in groups):
                return
            await asyncio.sleep(0.1)

    def _on_state(self, state: ConnectionState) -> None:
        self._state = state
        if state.kind is ConnectionKind.LOST and not self._has_lags.is_set():
            self._is_lost.set()

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        committed = snapshot.sampled.get(Datum.COMMITTED)
        if committed is not None and committed.at_s is not None:
            self._has_lags.set()

    def _chosen(self, snapshot: ClusterSnapshot) -> list[Group]:
        names = set(self._options.group)
        return [g for g in snapshot.groups.values() if not names or g.group_id in names]


def group_rows(groups: Sequence[Group]) -> list[Row]:
    """One row per group, the largest lag first."""
    ordered = sorted(groups, key=lambda g: (-(g.lag_records or 0), g.group_id))
    return [
        {
            "group": g.group_id,
            "state": g.state,
            "members": len(g.members),
            "topics": ", ".join(g.topics),
            "lag": g.lag_records,
            "seconds": _rounded(g.lag_seconds),
            "in/s": _rounded(g.rate_in_per_s),
            "out/s": _rounded(g.rate_out_per_s),
            "status": g.status.value,
        }
        for g in ordered
    ]


def partition_rows(groups: Sequence[Group]) -> list[Row]:
    """One row per partition of each group."""
    return [
        {
            "group": g.group_id,
            "topic": lag.topic,
            "partition": lag.partition,
            "committed": lag.committed,
            "end": lag.end_offset,
            "lag": lag.lag_records,
            "seconds": _rounded(lag.lag_seconds),
            "client": lag.client_id or None,
            "host": lag.host or None,
        }
        for g in sorted(groups, key=lambda g: g.group_id)
        for lag in g.lags
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned columns: numbers to the right, unknown values as a dash."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    right = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    lines = [[name.upper() for name in names], *cells]
    return "\n".join(
        "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    match value:
        case None | "":
            return UNKNOWN
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case _:
            return visible(str(value), limit=CELL_MOST)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
