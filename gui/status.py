"""The one vocabulary of status: words, tone and meaning of everything that can be well or not.

Overview, tables, detail views, rail and header all take their words and colours from here. The
tone names a colour of the theme; the shape of the mark follows from it (widgets.status_mark).
"""

from __future__ import annotations

from dataclasses import dataclass

from gui.embedded.states import BrokerState
from kafka_client.model import Broker, GroupStatus
from kafka_client.sampling.state import ConnectionKind
from resources.wording import counted, listed

OK, WARN, BAD, NEUTRAL = "ok", "warn", "bad", "text_faint"
"""well; needs attention; broken; nothing to judge"""


@dataclass(frozen=True, slots=True)
class Status:
    """``text`` stands beside the mark, ``meaning`` in the tooltip."""

    text: str
    tone: str
    meaning: str = ""

    @property
    def text_tone(self) -> str:
        """The tone of the text itself: only trouble colours it."""
        return self.tone if self.tone in (WARN, BAD) else ""


# ---- consumer groups

GROUP_STATUS: dict[GroupStatus, Status] = {
    GroupStatus.OK: Status(
        "ok", OK, "Keeps up: what it reads was written within the last minute."
    ),
    GroupStatus.LATE: Status(
        "late", WARN, "Commits, but what it reads now was written more than a minute ago."
    ),
    GroupStatus.BEHIND: Status(
        "falling behind",
        WARN,
        "Commits, but its lag never falls: it reads slower than producers write.",
    ),
    GroupStatus.STALLED: Status(
        "stalled", BAD, "Commits the same offsets again and again while there is more to read."
    ),
    GroupStatus.STOPPED: Status("stopped", BAD, "Has lag and no longer commits offsets."),
    GroupStatus.REWOUND: Status(
        "rewound", WARN, "Its committed offsets went back: they were reset, or it reads again."
    ),
    GroupStatus.UNKNOWN: Status("unknown", NEUTRAL, "Too few samples yet to judge."),
}  # fmt: skip


# ---- brokers

BROKER_UP = Status("up", OK, "Registered with the controller and answering.")
BROKER_NOT_ANSWERING = Status("not answering", BAD, "Registered, but does not answer requests.")
BROKER_NOT_IN_CLUSTER = Status(
    "not in cluster", BAD, "No longer registered with the controller; replicas are placed on it."
)
BROKER_FENCED = Status(
    "fenced",
    BAD,
    "Registered, but the controller keeps it out of service: others lead its partitions.",
)
BROKER_DISK_FAILED = Status(
    "disk failed", BAD, "It cannot use a log directory: the replicas there are offline."
)
BROKER_NOT_ASKED = Status("not asked yet", NEUTRAL, "Registered; no request was sent to it yet.")

PROCESS_STATUS: dict[BrokerState, Status] = {
    BrokerState.UP: BROKER_UP,
    BrokerState.FROZEN: Status("frozen", WARN, "The process is suspended; connections stay open."),
    BrokerState.STARTING: Status("starting", WARN, "The process is starting."),
    BrokerState.STOPPING: Status("stopping", WARN, "The broker is shutting down."),
    BrokerState.STOPPED: Status("stopped", NEUTRAL, "The broker was shut down."),
    BrokerState.DIED: Status("died", BAD, "The process ended without a shutdown."),
}


def broker_status(broker: Broker, process: BrokerState | None = None) -> Status:
    """The process counts first: a frozen broker looks registered for a while. A failed disk is the
    reason why a broker is fenced, and counts before that."""
    if process is not None and process is not BrokerState.UP:
        return PROCESS_STATUS[process]
    if broker.failed_dirs and broker.reachable is not False:
        return BROKER_DISK_FAILED
    if broker.fenced:
        return BROKER_FENCED
    if not broker.in_cluster:
        return BROKER_NOT_IN_CLUSTER
    if broker.reachable is None:
        return BROKER_NOT_ASKED
    return BROKER_UP if broker.reachable else BROKER_NOT_ANSWERING


def failed_disks_sentence(broker: Broker, embedded: bool) -> str:
    """What happened to its log directories, and what to do; empty when none failed."""
    if not broker.failed_dirs:
        return ""
    paths = listed([failed.path for failed in broker.failed_dirs])
    what = f"Broker {broker.broker_id} cannot use {paths}: the replicas there are offline."
    if embedded:
        return (
            f"{what} Free space on the disk, or make it writable again: the broker probes it every"
            " second and comes back by itself."
        )
    return (
        f"{what} The broker's log says why. Free or replace the disk, then restart the broker:"
        " Kafka uses a failed directory again only after that."
    )


# ---- replicas

IN_SYNC = Status("in sync", OK, "Every replica is in sync.")


def replica_status(offline: int, under_replicated: int, error: str = "") -> Status:
    """The status of a topic or a cluster from its numbers of troubled partitions."""
    if error:
        return Status(error, BAD, "The cluster reports this error for the topic.")
    if offline:
        return Status(
            f"{offline:,} offline",
            BAD,
            f"{counted(offline, 'partition')} without a leader: no reads or writes there.",
        )
    if under_replicated:
        return Status(
            f"{under_replicated:,} under-replicated",
            WARN,
            f"{counted(under_replicated, 'partition')} with replicas missing from the in-sync set.",
        )
    return IN_SYNC


def partition_tone(leader: int | None, replicas: int, in_sync: int) -> str:
    if leader is None or leader < 0:
        return BAD
    return WARN if in_sync < replicas else OK


# ---- connections

CONNECTION_STATUS: dict[ConnectionKind, Status] = {
    ConnectionKind.CONNECTING: Status("connecting", NEUTRAL),
    ConnectionKind.CONNECTED: Status("connected", OK),
    ConnectionKind.DEGRADED: Status(
        "degraded", WARN, "A broker or a kind of data does not answer."
    ),
    ConnectionKind.LOST: Status("not reachable", BAD, "The cluster does not answer."),
}
