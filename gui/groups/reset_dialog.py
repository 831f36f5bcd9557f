"""The form that resets a group's offsets: to what, and of which topics."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDateTimeEdit,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of
from kafka_client.commands.groups import ResetSpec, ResetTo, plan_reset
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import Group, TopicPartition
from resources.wording import counted
from widgets.page_state import Banner
from widgets.plain import plain, set_title, without_mnemonic

CHOICES = (
    (ResetTo.EARLIEST, "Earliest", "Consume all stored records again"),
    (ResetTo.LATEST, "Latest", "Skip the stored records; consume only new ones"),
    (ResetTo.TIMESTAMP, "A time", "The first record at or after it"),
    (ResetTo.OFFSET, "An offset", "The same in every partition"),
    (ResetTo.SHIFT, "Shift by", "From the committed offset; negative goes back"),
)
"""target, label, explanation"""
LARGEST = 2**31 - 1
"""of a spin box"""
FIELD_PIXELS, ROW_PIXELS = 210, 32


class ResetDialog(QDialog):
    """Await it with ``opened``; afterwards ``plan`` holds the plan if it was accepted."""

    def __init__(self, context: PageContext, group: Group, parent: QWidget) -> None:
        super().__init__(parent.window())
        self.context = context
        self.group = group
        self.plan: Plan | None = None
        set_title(self, f"Reset offsets of {group.group_id}")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(680)
        self.banner = Banner(context.theme, self)
        self.choices = QButtonGroup(self)
        self.time = QDateTimeEdit(QDateTime.currentDateTime().addSecs(-3600), self)
        self.time.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.time.setCalendarPopup(True)
        self.offset = QSpinBox(self)
        self.offset.setRange(0, LARGEST)
        self.offset.setGroupSeparatorShown(True)
        self.shift = QSpinBox(self)
        self.shift.setRange(-LARGEST, LARGEST)
        self.shift.setGroupSeparatorShown(True)
        self.shift.setValue(-100)
        self.topics = [QCheckBox(without_mnemonic(topic), self) for topic in group.topics]
        self.preview = QPushButton("Preview…", self)
        self.preview.setProperty("role", "primary")
        self.preview.setDefault(True)
        self.preview.clicked.connect(self._start_preview)
        self._build()
        if group.members:
            members = counted(len(group.members), "member")
            self.banner.show_message(
                f"The group has {members}. Offsets can be reset only while it has none:"
                " stop the consumers first.",
                "warn",
            )

    def _build(self) -> None:
        cancel = QPushButton("Cancel", self)
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.preview)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(plain(self.windowTitle(), self, role="heading", wrap=True))
        layout.addWidget(plain("Reset to", self, role="section"))
        layout.addLayout(self._make_choices())
        layout.addWidget(plain("Topics", self, role="section"))
        for box in self.topics:
            box.setChecked(True)
            box.toggled.connect(self._check)
            layout.addWidget(box)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)

    def _make_choices(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(2, 1)
        fields: dict[ResetTo, QWidget] = {
            ResetTo.TIMESTAMP: self.time,
            ResetTo.OFFSET: self.offset,
            ResetTo.SHIFT: self.shift,
        }
        for row, (target, title, explanation) in enumerate(CHOICES):
            radio = QRadioButton(without_mnemonic(title), self)
            radio.setChecked(row == 0)
            self.choices.addButton(radio, row)
            grid.addWidget(radio, row, 0)
            grid.setRowMinimumHeight(row, ROW_PIXELS)
            field = fields.get(target)
            if field is not None:
                field.setEnabled(False)
                field.setMinimumWidth(FIELD_PIXELS)
                radio.toggled.connect(field.setEnabled)
                grid.addWidget(field, row, 1)
            grid.addWidget(plain(explanation, self, role="small"), row, 2)
        return grid

    # ---- what is chosen

    def choose(self, spec: ResetSpec) -> None:
        """Fill the form with this target."""
        self.choices.button([target for target, _, _ in CHOICES].index(spec.to)).setChecked(True)
        match spec.to:
            case ResetTo.TIMESTAMP:
                self.time.setDateTime(QDateTime.fromMSecsSinceEpoch(spec.value))
            case ResetTo.OFFSET:
                self.offset.setValue(spec.value)
            case ResetTo.SHIFT:
                self.shift.setValue(spec.value)

    def choose_topic(self, topic: str) -> None:
        """Reset this topic alone."""
        for name, box in zip(self.group.topics, self.topics, strict=True):
            box.setChecked(name == topic)

    def spec(self) -> ResetSpec:
        target = CHOICES[self.choices.checkedId()][0]
        match target:
            case ResetTo.TIMESTAMP:
                return ResetSpec(target, self.time.dateTime().toMSecsSinceEpoch())
            case ResetTo.OFFSET:
                return ResetSpec(target, self.offset.value())
            case ResetTo.SHIFT:
                return ResetSpec(target, self.shift.value())
            case _:
                return ResetSpec(target)

    def partitions(self) -> list[TopicPartition]:
        chosen = {
            topic
            for topic, box in zip(self.group.topics, self.topics, strict=True)
            if box.isChecked()
        }
        return sorted((lag.topic, lag.partition) for lag in self.group.lags if lag.topic in chosen)

    def _check(self) -> None:
        self.preview.setEnabled(any(box.isChecked() for box in self.topics))

    # ---- the plan

    def _start_preview(self) -> None:
        self.preview.setEnabled(False)
        self.banner.show_message("Reading the offsets…", "accent")
        self.context.session.tasks.start(self._preview(), owner=self)

    async def _preview(self) -> None:
        spec, partitions = self.spec(), self.partitions()
        group, servers = self.group.group_id, bootstrap_of(self.context)
        try:
            self.plan = await self.context.session.ask(
                lambda client: plan_reset(client, group, partitions, spec, servers)
            )
        except ClientError as error:
            self.preview.setEnabled(True)
            self.banner.show_message(f"{error} {error.next_step}".strip(), "bad")
        else:
            self.accept()
