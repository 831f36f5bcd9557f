"""The forms for a new topic and for more partitions."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QLineEdit, QSpinBox, QWidget

from gui.page_kit.form import PlanForm
from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of
from kafka_client.commands import topics
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import ConfigResource, ConfigSource, NewTopic
from widgets.plain import plain

POLICIES = (
    ("delete", "Delete old records"),
    ("compact", "Keep the last record of each key"),
    ("compact,delete", "Both"),
)
"""cleanup.policy and its label; the first is the default"""
RETENTIONS = (
    ("", "The broker's default"),
    ("3600000", "1 hour"),
    ("86400000", "1 day"),
    ("604800000", "7 days"),
    ("2592000000", "30 days"),
    ("-1", "Forever"),
)
"""retention.ms and its label"""
DEFAULT_PARTITIONS, DEFAULT_REPLICATION = 3, 3
MOST_PARTITIONS = 10_000


class CreateTopicDialog(PlanForm):
    """``like`` names a topic whose partitions, replication and settings are copied."""

    def __init__(
        self,
        context: PageContext,
        parent: QWidget,
        *,
        like: str = "",
        name: str = "",
        partitions: int | None = None,
        replication: int | None = None,
    ) -> None:
        super().__init__(context, f"Clone topic {like}" if like else "New topic", parent)
        brokers = max(len(context.session.snapshot.brokers), 1)
        self._settings: dict[str, str] = {}
        self._reading = False
        """the settings of the topic to copy are being read"""
        self.name = QLineEdit(name, self)
        self.name.setPlaceholderText("letters, digits, “.”, “_”, “-”")
        self.partitions = QSpinBox(self)
        self.partitions.setRange(1, MOST_PARTITIONS)
        self.partitions.setValue(partitions or DEFAULT_PARTITIONS)
        self.replication = QSpinBox(self)
        self.replication.setRange(1, brokers)
        self.replication.setValue(replication or DEFAULT_REPLICATION)
        self.policy = _choices(POLICIES, self)
        self.retention = _choices(RETENTIONS, self)
        self.add_row("Name", self.name)
        self.add_row("Partitions", self.partitions)
        self.add_row("Replication factor", self.replication)
        self.add_row("Cleanup", self.policy)
        self.add_row("Retention", self.retention)
        if like:
            self._copy(like)
        self.name.textChanged.connect(self.check)
        self.check()

    def ready(self) -> bool:
        return bool(self.name.text()) and not self._reading

    def _copy(self, like: str) -> None:
        topic = self.context.session.snapshot.topics.get(like)
        if topic is not None:
            self.partitions.setValue(len(topic.partitions))
            self.replication.setValue(topic.replication_factor)
        self.form.setRowVisible(self.policy, False)
        self.form.setRowVisible(self.retention, False)
        self._reading = True
        self.context.session.tasks.start(self._read_settings(like), owner=self)

    async def _read_settings(self, like: str) -> None:
        """Nothing can be reviewed before the settings are there: a clone has all of them."""
        resource = ConfigResource("topic", like)
        try:
            found = await self.context.session.ask(lambda client: client.configs([resource]))
        except ClientError as error:
            self.banner.show_message(f"The settings of {like} could not be read: {error}", "bad")
            return
        self._settings = {
            entry.name: entry.value
            for entry in found[resource]
            if entry.source is ConfigSource.TOPIC and entry.value is not None
        }
        self._reading = False
        self.check()

    def make_plan(self) -> Plan:
        settings = dict(self._settings)
        if self.policy.currentIndex() > 0:
            settings["cleanup.policy"] = self.policy.currentData()
        if self.retention.currentData():
            settings["retention.ms"] = self.retention.currentData()
        topic = NewTopic(
            self.name.text().strip(), self.partitions.value(), self.replication.value(), settings
        )
        return topics.create_topic(self.context.session.snapshot, topic, bootstrap_of(self.context))


class AddPartitionsDialog(PlanForm):
    def __init__(self, context: PageContext, topic: str, parent: QWidget) -> None:
        super().__init__(context, f"Add partitions to {topic}", parent)
        self._topic = topic
        known = context.session.snapshot.topics.get(topic)
        present = len(known.partitions) if known is not None else 0
        self.total = QSpinBox(self)
        self.total.setRange(1, MOST_PARTITIONS)
        self.total.setValue(present + 1)
        self.add_row("Partitions after", self.total)
        self.add_row("Partitions now", plain(str(present), self))
        self.total.valueChanged.connect(self.check)
        self.total.selectAll()
        self.check()

    def make_plan(self) -> Plan:
        return topics.add_partitions(
            self.context.session.snapshot,
            self._topic,
            self.total.value(),
            bootstrap_of(self.context),
        )


def _choices(choices: tuple[tuple[str, str], ...], parent: QWidget) -> QComboBox:
    box = QComboBox(parent)
    for value, label in choices:
        box.addItem(label, value)
    return box
