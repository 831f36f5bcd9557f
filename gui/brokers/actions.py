"""Stops, kills, starts and restarts the brokers of an embedded cluster, after asking the person."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from PySide6.QtWidgets import QWidget

from gui.confirm import confirmed
from gui.embedded.cluster import EmbeddedCluster
from gui.embedded.states import BrokerState
from widgets.theme import Theme


@dataclass(frozen=True, slots=True)
class BrokerAction:
    """``warning`` is shown first, where the action interrupts something."""

    label: str
    icon: str
    run: Callable[[EmbeddedCluster, int], Coroutine[Any, Any, None]]
    warning: str = ""


START = BrokerAction("Start", "play", EmbeddedCluster.start_broker)
STOP = BrokerAction(
    "Stop",
    "power",
    EmbeddedCluster.stop_broker,
    "The broker hands its leaderships to other replicas first. Partitions with a single replica"
    " are unavailable until it is back.",
)
KILL = BrokerAction(
    "Kill -9",
    "kill",
    EmbeddedCluster.kill,
    "The process ends at once, without a controlled shutdown. The controller fences the broker"
    " after two missed heartbeats and elects other leaders. Records that all in-sync replicas"
    " acknowledged are kept.",
)
FREEZE = BrokerAction(
    "Freeze",
    "freeze",
    EmbeddedCluster.freeze,
    "The process is suspended: its connections stay open and no request is answered, as when a"
    " machine hangs. Thaw resumes it.",
)
THAW = BrokerAction("Thaw", "thaw", EmbeddedCluster.thaw)
ALL_ACTIONS = (START, STOP, KILL, FREEZE, THAW)


def possible_actions(state: BrokerState) -> tuple[BrokerAction, ...]:
    match state:
        case BrokerState.UP:
            return STOP, FREEZE, KILL
        case BrokerState.FROZEN:
            return THAW, KILL
        case BrokerState.STOPPED | BrokerState.DIED:
            return (START,)
        case BrokerState.STARTING | BrokerState.STOPPING:
            return (KILL,)


async def confirm_and_run(
    action: BrokerAction, cluster: EmbeddedCluster, broker_id: int, theme: Theme, parent: QWidget
) -> None:
    """Ask for confirmation where the action has a warning, then run it. Raises: EmbeddedError."""
    if not action.warning or await confirmed(
        theme,
        parent,
        title=f"{action.label} broker {broker_id}?",
        text=action.warning,
        button=action.label,
    ):
        await action.run(cluster, broker_id)
