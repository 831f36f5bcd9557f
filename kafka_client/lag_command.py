"""kafkarium lag --bootstrap HOST:PORT,...: how far consumer groups are behind, as a text table;
--watch renews it.

One row per group, or per partition with --partitions. Seconds need a past: in watch mode they
come with the second sample, else from the timestamp of the first record that waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence

from kafka_client.error_map import clean
from kafka_client.errors import ClientError
from kafka_client.gateway import open_client
from kafka_client.model import ClusterSnapshot, Datum, Group
from kafka_client.profile import ConnectionProfile, quick
from kafka_client.sampling import ConnectionKind, ConnectionState, Sampler, Schedule, SeriesStore

UNKNOWN = "-"
FIRST_WAIT_S = 4.0
CLEAR = "\x1b[H\x1b[2J"


def main(argv: Sequence[str]) -> int:
    """0: shown; 1: the cluster could not be read; 2: asked wrongly."""
    options = _parser().parse_args(list(argv))
    try:
        profile = quick(options.bootstrap, read_only=True)
    except ClientError as error:
        print(f"kafkarium lag: {error} {error.next_step}".rstrip(), file=sys.stderr)
        return 2
    try:
        return asyncio.run(_Lag(options).run(profile))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kafkarium lag", description="How far consumer groups are behind."
    )
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT,...")
    parser.add_argument(
        "--group", action="append", default=[], help="only this group; may be given several times"
    )
    parser.add_argument("--partitions", action="store_true", help="a row for every partition")
    parser.add_argument(
        "--watch",
        nargs="?",
        const=2.0,
        type=float,
        metavar="SECONDS",
        help="renew every 2 s, or so many",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per row instead of a table"
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="give up connecting after"
    )
    return parser


class _Lag:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._state: ConnectionState | None = None
        self._ready = asyncio.Event()
        self._refused = asyncio.Event()

    async def run(self, profile: ConnectionProfile) -> int:
        client = open_client(profile)
        everything = 1_000_000_000
        sampler = Sampler(
            client,
            SeriesStore(),
            Schedule(small_partitions=everything, partition_series=0),
            on_snapshot=lambda snapshot, changes: self._look(snapshot),
            on_state=self._said,
        )
        sampler.start()
        try:
            return await self._show(sampler)
        finally:
            await sampler.stop()
            await client.close()

    async def _show(self, sampler: Sampler) -> int:
        if not await self._is_there():
            state = self._state
            words = (
                state.sentence
                if state and state.kind is not ConnectionKind.CONNECTING
                else "No answer in time."
            )
            print(
                f"kafkarium lag: {words} {state.next_step if state else ''}".rstrip(),
                file=sys.stderr,
            )
            return 1
        if self._options.watch is None:
            await self._until_seconds_are_known(sampler)
            print(self._text(sampler.snapshot))
            return 0
        while True:
            state = self._state
            stale = (
                f"  ({state.sentence})"
                if state and state.kind is not ConnectionKind.CONNECTED
                else ""
            )
            heading = "" if self._options.json else f"{CLEAR}{time.strftime('%H:%M:%S')}{stale}\n"
            print(heading + self._text(sampler.snapshot), flush=True)
            await asyncio.sleep(max(0.2, self._options.watch))

    async def _is_there(self) -> bool:
        """Whether a first picture came in time. A cluster that refuses is not waited for."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._ready, self._refused)]
        try:
            await asyncio.wait(
                waits, timeout=self._options.timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        return self._ready.is_set()

    async def _until_seconds_are_known(self, sampler: Sampler) -> None:
        deadline = time.monotonic() + FIRST_WAIT_S
        while time.monotonic() < deadline:
            if all(
                g.lag_seconds is not None or not g.lag_records
                for g in self._chosen(sampler.snapshot)
            ):
                return
            await asyncio.sleep(0.1)

    def _said(self, state: ConnectionState) -> None:
        self._state = state
        if state.kind is ConnectionKind.LOST and not self._ready.is_set():
            self._refused.set()

    def _look(self, snapshot: ClusterSnapshot) -> None:
        listed = snapshot.sampled.get(Datum.GROUPS)
        committed = snapshot.sampled.get(Datum.COMMITTED)
        if listed is None or listed.at_s is None or committed is None or committed.at_s is None:
            return
        if committed.at_s >= listed.at_s or all(g.lags for g in snapshot.groups.values()):
            self._ready.set()

    def _chosen(self, snapshot: ClusterSnapshot) -> list[Group]:
        wanted = set(self._options.group)
        return [g for g in snapshot.groups.values() if not wanted or g.group_id in wanted]

    def _text(self, snapshot: ClusterSnapshot) -> str:
        rows = (
            partition_rows(self._chosen(snapshot))
            if self._options.partitions
            else group_rows(self._chosen(snapshot))
        )
        if self._options.json:
            return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        return table(rows) if rows else "No consumer groups."


def group_rows(groups: Sequence[Group]) -> list[dict[str, object]]:
    """Worst first."""
    ordered = sorted(groups, key=lambda g: (-(g.lag_records or 0), g.group_id))
    return [
        {
            "group": clean(g.group_id, 249),
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


def partition_rows(groups: Sequence[Group]) -> list[dict[str, object]]:
    return [
        {
            "group": clean(g.group_id, 249),
            "topic": lag.topic,
            "partition": lag.partition,
            "committed": lag.committed,
            "end": lag.end_offset,
            "lag": lag.lag_records,
            "seconds": _rounded(lag.lag_seconds),
            "client": clean(lag.client_id or "", 60) or None,
            "host": clean(lag.host or "", 60) or None,
        }
        for g in sorted(groups, key=lambda g: g.group_id)
        for lag in g.lags
    ]


def table(rows: Sequence[dict[str, object]]) -> str:
    """Columns as wide as they need to be; numbers to the right, unknown as a dash."""
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
            return str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
