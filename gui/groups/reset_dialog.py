"""Reset a group's offsets: where to, for which topics; the plan with every partition follows."""

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
from gui.plan_dialog import bootstrap_of, show_plan
from kafka_client.commands.groups import ResetSpec, ResetTo, plan_reset
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import Group
from widgets.page_state import Banner
from widgets.plain import plain

CHOICES = (
    (ResetTo.EARLIEST, "Earliest", "Read everything that is still there again"),
    (ResetTo.LATEST, "Latest", "Skip what is there; read only what comes"),
    (ResetTo.TIMESTAMP, "A time", "The first record at or after it"),
    (ResetTo.OFFSET, "An offset", "The same in every partition"),
    (ResetTo.SHIFT, "Shift by", "From where it stands; negative goes back"),
)
LARGEST = 2**31 - 1


class ResetDialog(QDialog):
    def __init__(self, context: PageContext, group: Group, parent: QWidget) -> None:
        super().__init__(parent.window())
        self.context = context
        self.group = group
        self.setWindowTitle(f"Reset offsets of {group.group_id}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
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
        self.topics = [QCheckBox(topic, self) for topic in group.topics]
        self.preview = QPushButton("Preview…", self)
        self.preview.setProperty("role", "primary")
        self.preview.setDefault(True)
        self.preview.clicked.connect(self._preview)
        self._build()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(2, 1)
        fields = {
            ResetTo.TIMESTAMP: self.time,
            ResetTo.OFFSET: self.offset,
            ResetTo.SHIFT: self.shift,
        }
        for place, (to, title, words) in enumerate(CHOICES):
            radio = QRadioButton(title, self)
            radio.setChecked(place == 0)
            self.choices.addButton(radio, place)
            grid.addWidget(radio, place, 0)
            field = fields.get(to)
            if field is not None:
                field.setEnabled(False)
                field.setMinimumWidth(210)
                radio.toggled.connect(field.setEnabled)
                grid.addWidget(field, place, 1)
            grid.addWidget(plain(words, self, role="small"), place, 2)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.preview)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(plain(self.windowTitle(), self, role="heading"))
        layout.addWidget(plain("Where to", self, role="section"))
        layout.addLayout(grid)
        layout.addWidget(plain("Topics", self, role="section"))
        for box in self.topics:
            box.setChecked(True)
            box.toggled.connect(self._check)
            layout.addWidget(box)
        layout.addWidget(self.banner)
        layout.addLayout(buttons)
        if self.group.members:
            self.banner.say(
                "Its consumers are running. Offsets can only be reset while nobody is in the group: stop them first.",
                "warn",
            )

    def _check(self) -> None:
        self.preview.setEnabled(any(box.isChecked() for box in self.topics))

    def spec(self) -> ResetSpec:
        to = CHOICES[self.choices.checkedId()][0]
        match to:
            case ResetTo.TIMESTAMP:
                return ResetSpec(to, self.time.dateTime().toMSecsSinceEpoch())
            case ResetTo.OFFSET:
                return ResetSpec(to, self.offset.value())
            case ResetTo.SHIFT:
                return ResetSpec(to, self.shift.value())
            case _:
                return ResetSpec(to)

    def _preview(self) -> None:
        wanted = {
            topic
            for topic, box in zip(self.group.topics, self.topics, strict=True)
            if box.isChecked()
        }
        partitions = sorted(
            (lag.topic, lag.partition) for lag in self.group.lags if lag.topic in wanted
        )
        spec, group, bootstrap = self.spec(), self.group.group_id, bootstrap_of(self.context)
        self.preview.setEnabled(False)
        self.banner.say("Asking for the offsets…", "accent")
        self.context.session.ask(
            lambda client: plan_reset(client, group, partitions, spec, bootstrap),
            self._planned,
            self._failed,
            self,
        )

    def _planned(self, plan: Plan) -> None:
        show_plan(self.context, plan, self.parentWidget())
        self.accept()

    def _failed(self, error: ClientError) -> None:
        self.preview.setEnabled(True)
        self.banner.say(f"{error} {error.next_step}".strip(), "bad")
