"""Forms for a new topic and for more partitions; each ends in a plan."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, show_plan
from kafka_client.commands import topics
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import ConfigResource, ConfigSource, NewTopic
from widgets.plain import plain, set_role

POLICIES = (("delete", "Delete old records"), ("compact", "Keep the last record of each key"),
            ("compact,delete", "Both"))  # fmt: skip
RETENTIONS = (
    ("", "The broker's default"),
    ("3600000", "1 hour"),
    ("86400000", "1 day"),
    ("604800000", "7 days"),
    ("2592000000", "30 days"),
    ("-1", "For ever"),
)


class _Form(QDialog):
    """A title, a form, a sentence of what is wrong, and a button that makes the plan."""

    def __init__(self, context: PageContext, title: str, parent: QWidget) -> None:
        super().__init__(parent.window())
        self.context = context
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(480)
        self.wrong = plain("", self, wrap=True)
        set_role(self.wrong, "bad", "tone")
        self.go = QPushButton("Review…", self)
        self.go.setProperty("role", "primary")
        self.go.setDefault(True)
        self.go.clicked.connect(self._review)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        self.form = QFormLayout()
        self.form.setHorizontalSpacing(16)
        self.form.setVerticalSpacing(10)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.go)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(plain(title, self, role="heading"))
        layout.addLayout(self.form)
        layout.addWidget(self.wrong)
        layout.addStretch(1)
        layout.addLayout(buttons)

    def row(self, title: str, widget: QWidget) -> None:
        self.form.addRow(plain(title, self, role="muted"), widget)

    def make(self) -> Plan:
        """Raises: BadInput."""
        raise AssertionError("every form makes a plan of its own")

    def _review(self) -> None:
        try:
            plan = self.make()
        except ClientError as e:
            self.wrong.setText(str(e))
            return
        show_plan(self.context, plan, self.parentWidget())
        self.accept()

    def check(self) -> None:
        """Say what is wrong while it is typed."""
        try:
            self.make()
        except ClientError as e:
            self.wrong.setText(str(e))
            self.go.setEnabled(False)
        else:
            self.wrong.setText("")
            self.go.setEnabled(True)


class CreateTopicDialog(_Form):
    def __init__(
        self,
        context: PageContext,
        parent: QWidget,
        like: str = "",
        name: str = "",
        partitions: str = "",
        replication: str = "",
    ) -> None:
        super().__init__(context, f"Clone topic {like}" if like else "New topic", parent)
        snapshot = context.session.snapshot
        self._configs: dict[str, str] = {}
        self.name = QLineEdit(name, self)
        self.name.setPlaceholderText("letters, digits, “.”, “_”, “-”")
        self.partitions = QSpinBox(self)
        self.partitions.setRange(1, 10_000)
        self.partitions.setValue(int(partitions) if partitions.isdigit() else 3)
        self.replication = QSpinBox(self)
        self.replication.setRange(1, max(len(snapshot.brokers), 1))
        self.replication.setValue(int(replication) if replication.isdigit() else 3)
        self.policy = QComboBox(self)
        for value, words in POLICIES:
            self.policy.addItem(words, value)
        self.retention = QComboBox(self)
        for value, words in RETENTIONS:
            self.retention.addItem(words, value)
        for title, widget in (
            ("Name", self.name),
            ("Partitions", self.partitions),
            ("Replication", self.replication),
            ("Old records", self.policy),
            ("Keep them", self.retention),
        ):
            self.row(title, widget)
        if like:
            self._fill_from(like)
        self.name.textChanged.connect(self._typed)
        self.go.setEnabled(bool(name))

    def _typed(self) -> None:
        if self.name.text():
            self.check()
        else:
            self.wrong.setText("")
            self.go.setEnabled(False)

    def _fill_from(self, like: str) -> None:
        topic = self.context.session.snapshot.topics.get(like)
        if topic is not None:
            self.partitions.setValue(len(topic.partitions))
            self.replication.setValue(topic.replication_factor)
        self.form.setRowVisible(self.policy, False)
        self.form.setRowVisible(self.retention, False)
        resource = ConfigResource("topic", like)
        self.context.session.ask(
            lambda client: client.configs([resource]),
            lambda found: self._configs.update(
                {
                    e.name: e.value
                    for e in found[resource]
                    if e.source is ConfigSource.TOPIC and e.value is not None
                }
            ),
            lambda error: self.wrong.setText(f"Its settings could not be read: {error}"),
            self,
        )

    def make(self) -> Plan:
        configs = dict(self._configs)
        if self.policy.currentData() != "delete":
            configs["cleanup.policy"] = self.policy.currentData()
        if self.retention.currentData():
            configs["retention.ms"] = self.retention.currentData()
        topic = NewTopic(
            self.name.text().strip(), self.partitions.value(), self.replication.value(), configs
        )
        return topics.create_topic(self.context.session.snapshot, topic, bootstrap_of(self.context))


class AddPartitionsDialog(_Form):
    def __init__(self, context: PageContext, topic: str, parent: QWidget) -> None:
        super().__init__(context, f"Add partitions to {topic}", parent)
        self._topic = topic
        found = context.session.snapshot.topics.get(topic)
        now = len(found.partitions) if found is not None else 0
        self.total = QSpinBox(self)
        self.total.setRange(1, 10_000)
        self.total.setValue(now + 1)
        self.row("Partitions now", plain(str(now), self))
        self.row("Partitions after", self.total)
        self.total.valueChanged.connect(self.check)

    def make(self) -> Plan:
        snapshot = self.context.session.snapshot
        return topics.add_partitions(
            snapshot, self._topic, self.total.value(), bootstrap_of(self.context)
        )
