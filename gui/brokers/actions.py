"""What can be done to the brokers of an embedded cluster, and what is asked before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtWidgets import QWidget

from gui import confirm
from gui.embedded.cluster import BrokerState, EmbeddedControl
from widgets.theme import Theme


@dataclass(frozen=True, slots=True)
class BrokerAction:
    """``warning`` is shown first, where the action interrupts something."""

    label: str
    icon: str
    run: Callable[[EmbeddedControl, int], None]
    warning: str = ""


START = BrokerAction("Start", "play", EmbeddedControl.start_broker)
STOP = BrokerAction(
    "Stop",
    "power",
    EmbeddedControl.stop_broker,
    "The broker hands its leaderships to other replicas first. Partitions with a single replica"
    " are unavailable until it is back.",
)
KILL = BrokerAction(
    "Kill -9",
    "kill",
    EmbeddedControl.kill,
    "The process ends at once, without a controlled shutdown. The controller fences the broker"
    " after two missed heartbeats and elects other leaders. Records that all in-sync replicas"
    " acknowledged are kept.",
)
FREEZE = BrokerAction(
    "Freeze",
    "freeze",
    EmbeddedControl.freeze,
    "The process is suspended: its connections stay open and no request is answered, as when a"
    " machine hangs. Thaw resumes it.",
)
THAW = BrokerAction("Thaw", "thaw", EmbeddedControl.thaw)
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


def request(
    action: BrokerAction, control: EmbeddedControl, broker_id: int, theme: Theme, parent: QWidget
) -> None:
    """Ask for confirmation where the action has a warning, then run it."""
    run = partial(action.run, control, broker_id)
    if not action.warning:
        run()
        return
    confirm.ask(
        theme,
        parent,
        title=f"{action.label} broker {broker_id}?",
        sentences=action.warning,
        button=action.label,
        agreed=run,
    )
