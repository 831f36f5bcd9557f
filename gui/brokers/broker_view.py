"""One broker: facts, its replicas, and for an embedded broker its log and actions."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QPushButton, QWidget

from gui.brokers import actions
from gui.brokers.log_view import BrokerLog
from gui.brokers.rows import REPLICA_COLUMNS, BrokerRow, ReplicaRow, replicas_on
from gui.navigation import ConfigurationTarget, TopicTarget
from gui.page_kit.detail_view import DetailView
from gui.page_kit.latest_job import LatestJob
from gui.page_kit.page_table import page_table
from gui.pages import PageContext
from kafka_client.model import ClusterSnapshot, ConfigResource
from kafka_client.snapshot import partition_count
from widgets import figures
from widgets.facts import Fact
from widgets.keyed_table_model import KeyedTableModel
from widgets.table_view import TableView

FACTS = ("Status", "Address", "Leaders", "Replicas", "Size")
PROCESS_FACTS = ("Process", "Up for")


class BrokerView(DetailView):
    """Stands below the list of brokers and shows the selected one."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        self.embedded = context.session.embedded
        names = FACTS + (PROCESS_FACTS if self.embedded is not None else ())
        super().__init__(context, facts=names, parent=parent)
        self._row: BrokerRow | None = None
        self._shown_topics: object = None
        """the topics of the snapshot whose replicas were shown last"""
        self._buttons: dict[str, QPushButton] = {}
        self._rows = LatestJob(context.session, self._show_replicas, self)
        self.replicas: KeyedTableModel[ReplicaRow] = KeyedTableModel(
            REPLICA_COLUMNS, key=lambda r: (r.topic, r.partition), parent=self
        )
        self.add_tab("replicas", "Replicas", self._make_replica_table())
        self._log: BrokerLog | None = None
        if self.embedded is not None:
            self._log = BrokerLog(self.embedded, context.session.tasks, self)
            self.add_tab("log", "Log", self._log)
            for action in actions.ALL_ACTIONS:
                self._buttons[action.label] = self.add_action(
                    action.label, partial(self._run, action), icon=action.icon
                )
        self.add_action("Configuration", self._open_configuration)

    def _make_replica_table(self) -> TableView[ReplicaRow]:
        return page_table(
            self.context,
            self.replicas,
            name="broker-replicas",
            noun="replica",
            sort="topic",
            opened=lambda row, tab: self.context.navigate(TopicTarget(row.topic), tab),
            empty=("topics", "No replicas", "No partition has a replica on this broker."),
        )

    # ---- showing

    def show_broker(self, row: BrokerRow, snapshot: ClusterSnapshot) -> None:
        is_another = self._row is None or self._row.broker_id != row.broker_id
        self._row = row
        self.show_name(f"Broker {row.broker_id}")
        self.show_facts(_facts(row, self.embedded is not None))
        self.show_trouble(row.disks)
        if is_another:
            self.replicas.merge(())
        if is_another or snapshot.topics is not self._shown_topics:
            self._shown_topics = snapshot.topics
            work = partial(replicas_on, snapshot, row.broker_id)
            self._rows.request(work, partition_count(snapshot))
        if self.embedded is not None:
            self._show_possible_actions(row.broker_id)
        if self._log is not None:
            self._log.show_broker(row.broker_id)

    def _show_replicas(self, found: tuple[int, list[ReplicaRow]]) -> None:
        broker_id, rows = found
        if self._row is not None and self._row.broker_id == broker_id:
            self.replicas.merge(rows)

    def _show_possible_actions(self, broker_id: int) -> None:
        assert self.embedded is not None
        process = self.embedded.brokers.get(broker_id)
        possible = actions.possible_actions(process.state) if process is not None else ()
        labels = {action.label for action in possible}
        for label, button in self._buttons.items():
            button.setVisible(label in labels)

    # ---- actions

    def _run(self, action: actions.BrokerAction) -> None:
        if self._row is not None:
            self.request(action, self._row.broker_id)

    def request(self, action: actions.BrokerAction, broker_id: int) -> None:
        if self.embedded is not None:
            work = actions.confirm_and_run(
                action, self.embedded, broker_id, self.context.theme, self
            )
            self.context.session.tasks.start(work, owner=self)

    def _open_configuration(self) -> None:
        if self._row is not None:
            resource = ConfigResource("broker", str(self._row.broker_id))
            self.context.navigate(ConfigurationTarget(resource))


def _facts(row: BrokerRow, embedded: bool) -> list[Fact]:
    status = row.status.text + (", controller" if row.controller else "")
    address = f"{row.address}, rack {row.rack}" if row.rack else row.address
    facts = [
        Fact(status, row.status.tone, row.disks or row.reason or row.status.meaning, status=True),
        Fact(address),
        Fact(figures.count(row.leaders)),
        Fact(figures.count(row.replicas)),
        Fact(figures.size(row.size_bytes)),
    ]
    if embedded:
        facts.append(Fact(str(row.pid) if row.pid is not None else figures.UNKNOWN))
        facts.append(Fact(figures.duration(row.uptime_s)))
    return facts
