"""One broker: facts, its replicas, and, of an embedded one, its process with the log and what can
be done to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui import confirm
from gui.background import Latest
from gui.brokers.rows import BrokerRow, ReplicaRow, replicas_on
from gui.embedded.cluster import BrokerState
from gui.pages import PageContext
from kafka_client.model import ClusterSnapshot
from kafka_client.snapshot import partition_count
from widgets import figures
from widgets.column import Column
from widgets.keyed_table_model import KeyedTableModel
from widgets.plain import ElidedLabel, plain, visible
from widgets.table_view import TableView

TAIL_MS = 1500
LINES_KEPT = 600


def _ids(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids)) or "–"


REPLICA_COLUMNS: tuple[Column[ReplicaRow], ...] = (
    Column("topic", "Topic", lambda r: r.topic, stretch=True, icon=lambda r: "topics"),
    Column("partition", "Partition", lambda r: r.partition, numeric=True, width=88),
    Column("role", "Role", lambda r: r.role, paint="badge", width=96,
           tone=lambda r: "accent" if r.role == "leader" else ""),
    Column("in_sync", "In sync", lambda r: "yes" if r.in_sync else "no", paint="dot", width=88,
           tone=lambda r: "ok" if r.in_sync else "warn"),
    Column("leader", "Leader", lambda r: r.leader, numeric=True, width=72),
    Column("replicas", "Replicas", lambda r: r.replicas, text=_ids, width=104),
    Column("isr", "In-sync set", lambda r: r.isr, text=_ids, width=104),
    Column("size", "Size", lambda r: r.size_bytes, text=figures.size, numeric=True, width=96),
    Column("rate", "In", lambda r: r.rate, text=figures.rate, numeric=True, width=88),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to an embedded broker; ``warning`` is asked first, when there is one."""

    name: str
    words: str
    icon: str
    warning: str = ""


START = Act("start_broker", "Start", "play")
THAW = Act("thaw", "Thaw", "thaw")
STOP = Act(
    "stop_broker",
    "Stop",
    "power",
    "It hands its partitions to the others first. Partitions with one replica are not available until it is back.",
)
KILL = Act(
    "kill",
    "Kill -9",
    "kill",
    "The process ends at once and says nothing to anyone. The others notice when its session times out; what was "
    "acknowledged by all in-sync replicas is kept.",
)
FREEZE = Act(
    "freeze",
    "Freeze",
    "freeze",
    "The process is held: its connections stay open and nothing is answered, as when a machine hangs. Thawing ends it.",
)


class BrokerPanel(QWidget):
    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.theme = context.theme
        self.embedded = context.session.embedded
        self._row: BrokerRow | None = None
        self._buttons: dict[str, QPushButton] = {}
        self._counted: object = None
        self._rows = Latest(self._show_replicas, self)
        self._title = plain("", self, role="heading")
        self._facts = ElidedLabel("", self, role="muted")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._title)
        head.addSpacing(8)
        head.addWidget(self._facts, 1)
        for act in (START, STOP, KILL, FREEZE, THAW):
            if self.embedded is not None:
                head.addWidget(self._button(act))
        settings = QPushButton("Configuration", self)
        settings.clicked.connect(self._configuration)
        head.addWidget(settings)
        self.replicas = KeyedTableModel(
            REPLICA_COLUMNS, key=lambda r: (r.topic, r.partition), parent=self
        )
        table = TableView(
            self.theme,
            self.replicas,
            name="broker-replicas",
            memory=context.preferences,
            noun="replica",
            sort="topic",
        )
        table.say_nothing("topics", "Holds no replica", "No partition is placed on this broker.")
        table.row_opened.connect(
            lambda r, tab: context.navigate(
                "topics", in_tab=tab, topic=r.topic, partition=r.partition
            )
        )
        self.tabs = QTabWidget(self)
        replicas_tab = QWidget()
        replicas_layout = QVBoxLayout(replicas_tab)
        replicas_layout.setContentsMargins(0, 12, 0, 0)
        replicas_layout.addWidget(table)
        self.tabs.addTab(replicas_tab, "Replicas")
        self._log = QPlainTextEdit()
        self._log.setReadOnly(True)
        self._log.setProperty("role", "mono")
        self._log.setMaximumBlockCount(LINES_KEPT)
        self._log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._shown_log = ""
        self._tail = QTimer(self)
        self._tail.setInterval(TAIL_MS)
        self._tail.timeout.connect(self._ask_log)
        if self.embedded is not None:
            self._add_log_tab()
            self.embedded.act_failed.connect(lambda words: context.notify(words, "bad"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self.tabs, 1)

    def _button(self, act: Act) -> QPushButton:
        button = QPushButton(act.words, self)
        button.setIcon(self.theme.icon(act.icon))
        button.clicked.connect(lambda: self._clicked(act))
        self.theme.changed.connect(lambda: button.setIcon(self.theme.icon(act.icon)))
        self._buttons[act.name] = button
        return button

    def _clicked(self, act: Act) -> None:
        if self._row is not None:
            self.request(act, self._row.broker_id)

    def _add_log_tab(self) -> None:
        tab = QWidget()
        layout = QVBoxLayout(tab)
        layout.setContentsMargins(0, 12, 0, 0)
        layout.addWidget(self._log)
        self.tabs.addTab(tab, "Log")
        self.tabs.currentChanged.connect(lambda _: self._ask_log())

    # ---- showing

    def show_broker(self, row: BrokerRow, snapshot: ClusterSnapshot) -> None:
        other = self._row is None or self._row.broker_id != row.broker_id
        self._row = row
        self._title.setText(f"Broker {row.broker_id}")
        parts = [
            row.address,
            f"rack {row.rack}" if row.rack else "",
            "controller" if row.controller else "",
        ]
        parts.append(
            f"{figures.plural(row.leaders, 'leader')} of {figures.plural(row.replicas, 'replica')}"
        )
        if row.size_bytes is not None:
            parts.append(figures.size(row.size_bytes))
        if row.pid is not None:
            parts.append(f"process {row.pid}, up for {figures.duration(row.uptime_s)}")
        if row.reason:
            parts.append(row.reason)
        self._facts.show_text("   ·   ".join(part for part in parts if part))
        if other:
            self.replicas.merge(())
        if other or snapshot.topics is not self._counted:
            self._counted = snapshot.topics
            self._rows.want(
                partial(replicas_on, snapshot, row.broker_id), partition_count(snapshot)
            )
        if self.embedded is not None:
            process = self.embedded.brokers.get(row.broker_id)
            possible = (
                {act.name for act in self.acts(process.state)} if process is not None else set()
            )
            for name, button in self._buttons.items():
                button.setVisible(name in possible)
            if other:
                self._log.clear()
                self._shown_log = ""
                self._ask_log()

    @staticmethod
    def acts(state: BrokerState) -> tuple[Act, ...]:
        match state:
            case BrokerState.UP:
                return STOP, FREEZE, KILL
            case BrokerState.FROZEN:
                return THAW, KILL
            case BrokerState.STOPPED | BrokerState.DIED:
                return (START,)
            case BrokerState.STARTING | BrokerState.STOPPING:
                return (KILL,)

    def request(self, act: Act, broker_id: int) -> None:
        """Ask first where something stops working, then do it."""
        if self.embedded is None:
            return
        do = partial(getattr(self.embedded, act.name), broker_id)
        if not act.warning:
            do()
            return
        confirm.ask(
            self.theme,
            self,
            title=f"{act.words} broker {broker_id}?",
            sentences=act.warning,
            button=act.words,
            agreed=do,
        )

    def _show_replicas(self, found: tuple[int, list[ReplicaRow]]) -> None:
        broker_id, rows = found
        if self._row is not None and self._row.broker_id == broker_id:
            self.replicas.merge(rows)

    # ---- the log

    def _ask_log(self) -> None:
        if self.embedded is not None and self._row is not None and self.tabs.currentIndex() == 1:
            self.embedded.tail(self._row.broker_id, self._show_log)

    def _show_log(self, text: str) -> None:
        if text == self._shown_log:
            return
        self._shown_log = text
        bar = self._log.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        lines = text.splitlines()[-LINES_KEPT:]
        self._log.setPlainText("\n".join(visible(line, limit=2000) for line in lines))
        if at_end:
            bar.setValue(bar.maximum())

    def _configuration(self) -> None:
        if self._row is not None:
            self.context.navigate("configuration", kind="broker", name=str(self._row.broker_id))

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tail.start()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tail.stop()
