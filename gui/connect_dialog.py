"""The dialog to connect to a cluster: addresses, login, environment, and a test of the connection
that shows the stage at which it fails."""

from __future__ import annotations

import asyncio
from functools import partial

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.client_bridge import ClientBridge
from gui.open_clusters import MakeClient
from gui.stored_secrets import new_reference
from gui.tasks import TaskScope, chosen_file
from kafka_client.doctor import STAGES, Stage, StageState, check_connection
from kafka_client.errors import ClientError
from kafka_client.model import Broker
from kafka_client.profile import ConnectionProfile, Environment, Mechanism, Protocol
from kafka_client.secrets import Secrets
from widgets import figures
from widgets.page_state import IconLabel, Spinner
from widgets.plain import plain, set_role
from widgets.theme import Theme

SECURITY = (
    (Protocol.PLAINTEXT, "None"),
    (Protocol.SSL, "TLS"),
    (Protocol.SASL_PLAINTEXT, "SASL, not encrypted"),
    (Protocol.SASL_SSL, "SASL over TLS"),
)
ENVIRONMENTS = (
    (Environment.NONE, "Not specified"),
    (Environment.DEVELOPMENT, "Development"),
    (Environment.TEST, "Test"),
    (Environment.PRODUCTION, "Production (read-only)"),
)
COLOURS = ("", "#3f9ad6", "#d9a13b", "#2fa37c", "#cf6a97", "#8079d6", "#d86a3a")
COLOUR_NAMES = ("No colour", "Blue", "Amber", "Green", "Pink", "Violet", "Orange")
UNCHECKED = (
    "Whoever is on the way can pose as the cluster then, and read and change what is sent, the "
    "password included."
)
LABEL = 128


class _Swatch(QAbstractButton):
    def __init__(self, theme: Theme, colour: str, name: str) -> None:
        super().__init__()
        self._theme, self.colour = theme, colour
        self.setCheckable(True)
        self.setToolTip(name)
        self.setAccessibleName(name)
        self.setFixedSize(26, 26)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(4, 4, -4, -4)
        theme = self._theme
        painter.setPen(QPen(theme.color("line_strong"), 1))
        painter.setBrush(QColor(self.colour) if self.colour else theme.color("sunken"))
        painter.drawEllipse(box)
        if not self.colour:
            painter.drawLine(QPointF(8, 18), QPointF(18, 8))
        if self.isChecked() or self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.color("accent" if self.isChecked() else "text_faint"), 2))
            painter.drawEllipse(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()


class _StageLine(QWidget):
    """One stage of the test: an icon, the name of the stage, its result."""

    def __init__(self, theme: Theme, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._icon = IconLabel(theme, "minus", 18, "text_faint", self)
        self._spinner = Spinner(theme, 18, self)
        self._spinner.hide()
        title = plain(name, self)
        title.setFixedWidth(LABEL)
        self._words = plain("", self, role="muted", wrap=True, selectable=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        top = Qt.AlignmentFlag.AlignTop
        row.addWidget(self._icon, 0, top)
        row.addWidget(self._spinner, 0, top)
        row.addWidget(title, 0, top)
        row.addWidget(self._words, 1, top)

    def show_stage(self, stage: Stage) -> None:
        self._spinner.setVisible(stage.state is StageState.RUNNING)
        self._icon.setVisible(stage.state is not StageState.RUNNING)
        icon, tone = {
            StageState.WAITING: ("minus", "text_faint"),
            StageState.RUNNING: ("minus", "text_faint"),
            StageState.PASSED: ("check", "ok"),
            StageState.WARNED: ("warning", "warn"),
            StageState.FAILED: ("close", "bad"),
        }[stage.state]
        self._icon.show_icon(icon, tone)
        took = f"  ({figures.duration(stage.took_ms / 1000)})" if stage.took_ms is not None else ""
        self._words.setText(f"{stage.message} {stage.next_step}".strip() + took)
        set_role(self._words, tone if tone in ("warn", "bad") else "muted", "tone")


class ConnectDialog(QDialog):
    def __init__(
        self,
        theme: Theme,
        bridge: ClientBridge,
        secrets: Secrets,
        make_client: MakeClient,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._theme, self._secrets, self._make_client = theme, secrets, make_client
        self.accepted_profile: ConnectionProfile | None = None
        """the connection to open, once the dialog was accepted"""
        self._bridge = bridge
        self._tasks = TaskScope(self)
        self._reference = new_reference()
        self.setWindowTitle("Connect to a cluster")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(640)
        self._fields()
        self._buttons()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(16)
        layout.addWidget(plain("Connect to a cluster", self, role="title"))
        layout.addLayout(self._form())
        layout.addWidget(self._test_panel())
        layout.addWidget(self._problem)
        layout.addStretch(1)
        layout.addLayout(self._button_row)
        self.finished.connect(lambda _: self._tasks.close())
        self._security_changed()
        self.servers.setFocus()

    # ---- set-up

    def _line(self, hint: str, *, secret: bool = False) -> QLineEdit:
        field = QLineEdit(self)
        field.setPlaceholderText(hint)
        if secret:
            field.setEchoMode(QLineEdit.EchoMode.Password)
        return field

    def _fields(self) -> None:
        self.servers = self._line("host:port, host:port")
        self.name = self._line("optional; the first address if empty")
        self.security = QComboBox(self)
        for protocol, words in SECURITY:
            self.security.addItem(words, protocol)
        self.security.currentIndexChanged.connect(lambda _: self._security_changed())
        self.mechanism = QComboBox(self)
        for mechanism in (Mechanism.SCRAM_512, Mechanism.SCRAM_256, Mechanism.PLAIN):
            self.mechanism.addItem(str(mechanism.value), mechanism)
        self.user = self._line("user name")
        hint = "stored in the system's keyring, or kept until you quit; never in a file"
        self.password = self._line(hint, secret=True)
        self.ca = self._line("the system's CA certificates")
        self.certificate = self._line("client certificate (PEM), if the brokers require one")
        self.key = self._line("its private key (PEM)")
        self.verify = QCheckBox("Check that the certificate names this host", self)
        self.verify.setChecked(True)
        self.verify.toggled.connect(lambda _: self._security_changed())
        self.unchecked = plain(UNCHECKED, self, wrap=True)
        set_role(self.unchecked, "warn", "tone")
        self.environment = QComboBox(self)
        for environment, words in ENVIRONMENTS:
            self.environment.addItem(words, environment)
        self.environment.currentIndexChanged.connect(self._environment_changed)
        self.read_only = QCheckBox("Read-only: this connection can change nothing", self)
        self._swatches = QButtonGroup(self)
        self._problem = plain("", self, wrap=True, selectable=True)
        set_role(self._problem, "bad", "tone")
        self._problem.hide()

    def _form(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnMinimumWidth(0, LABEL)
        self._rows: dict[str, list[QWidget]] = {}

        def row(name: str, title: str, *widgets: QWidget) -> None:
            place = grid.rowCount()
            label = plain(title, self, role="muted")
            label.setBuddy(widgets[0])
            line = QHBoxLayout()
            line.setSpacing(8)
            for number, widget in enumerate(widgets):
                line.addWidget(widget, 1 if number == 0 else 0)
            grid.addWidget(label, place, 0)
            grid.addLayout(line, place, 1)
            self._rows[name] = [label, *widgets]

        row("servers", "Bootstrap servers", self.servers)
        row("name", "Name", self.name)
        row("security", "Security", self.security)
        row("mechanism", "Mechanism", self.mechanism)
        row("user", "User", self.user)
        row("password", "Password", self.password)
        row("ca", "CA certificates", self.ca, self._browse(self.ca))
        row("certificate", "Client certificate", self.certificate, self._browse(self.certificate))
        row("key", "Private key", self.key, self._browse(self.key))
        row("verify", "", self.verify)
        row("unchecked", "", self.unchecked)
        row("environment", "Environment", self.environment)
        row("colour", "Colour", self._colours())
        row("read_only", "", self.read_only)
        return grid

    def _browse(self, field: QLineEdit) -> QPushButton:
        button = QPushButton("Choose…", self)

        button.clicked.connect(lambda: self._tasks.start(self._choose_file(field), field))
        return button

    async def _choose_file(self, field: QLineEdit) -> None:
        dialog = QFileDialog(self, "Choose a file")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        path = await chosen_file(dialog)
        if path is not None:
            field.setText(path)

    def _colours(self) -> QWidget:
        whole = QWidget(self)
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for colour, name in zip(COLOURS, COLOUR_NAMES, strict=True):
            swatch = _Swatch(self._theme, colour, name)
            swatch.setChecked(not colour)
            self._swatches.addButton(swatch)
            row.addWidget(swatch)
        row.addStretch(1)
        return whole

    def _test_panel(self) -> QWidget:
        self._panel = QWidget(self)
        column = QVBoxLayout(self._panel)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self._stages = [_StageLine(self._theme, name, self._panel) for name in STAGES]
        for line in self._stages:
            column.addWidget(line)
        self._panel.hide()
        return self._panel

    def _buttons(self) -> None:
        self.test = QPushButton("Test connection", self)
        self.test.clicked.connect(self.run_test)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        self.connect_button = QPushButton("Connect", self)
        self.connect_button.setProperty("role", "primary")
        self.connect_button.setDefault(True)
        self.connect_button.clicked.connect(self.connect_now)
        self._button_row = QHBoxLayout()
        self._button_row.setSpacing(8)
        self._button_row.addWidget(self.test)
        self._button_row.addStretch(1)
        self._button_row.addWidget(cancel)
        self._button_row.addWidget(self.connect_button)

    # ---- actions

    def _security_changed(self) -> None:
        protocol = Protocol(self.security.currentData())
        shown = dict.fromkeys(("mechanism", "user", "password"), protocol.sasl)
        shown |= dict.fromkeys(("ca", "certificate", "key", "verify"), protocol.tls)
        shown["unchecked"] = protocol.tls and not self.verify.isChecked()
        for name, visible in shown.items():
            for widget in self._rows[name]:
                widget.setVisible(visible)
        self.adjustSize()

    def _environment_changed(self, _: int) -> None:
        if Environment(self.environment.currentData()) is Environment.PRODUCTION:
            self.read_only.setChecked(True)

    def profile(self) -> ConnectionProfile:
        """The connection that the fields describe. Raises: BadInput."""
        servers = tuple(
            part.strip()
            for part in self.servers.text().replace(";", ",").split(",")
            if part.strip()
        )
        protocol = Protocol(self.security.currentData())
        name = self.name.text().strip() or (servers[0] if servers else "new connection")
        user = self.user.text().strip() if protocol.sasl else ""
        swatch = self._swatches.checkedButton()
        return ConnectionProfile(
            name,
            servers,
            protocol,
            Mechanism(self.mechanism.currentData()),
            user,
            self._reference if user and self.password.text() else "",
            self.ca.text().strip() if protocol.tls else "",
            self.certificate.text().strip() if protocol.tls else "",
            self.key.text().strip() if protocol.tls else "",
            verify_hostname=self.verify.isChecked(),
            read_only=self.read_only.isChecked(),
            environment=Environment(self.environment.currentData()),
            colour=swatch.colour if isinstance(swatch, _Swatch) else "",
        ).checked()

    async def _checked_profile(self, *, keep: bool) -> ConnectionProfile:
        """The profile of the fields, after its password was stored; in memory alone unless
        ``keep``. Raises: ClientError."""
        profile = self.profile()
        reference, password = profile.sasl_password_ref, self.password.text()
        if reference:  # off the window's thread: a keyring may ask the person
            put = partial(self._secrets.put, reference, password, keep=keep)
            await self._bridge.run(asyncio.to_thread(put))
        return profile

    def run_test(self) -> None:
        self._show_problem("")
        self._disable(self.test)
        self._tasks.start(self._test(), self)

    def _disable(self, button: QPushButton) -> None:
        """Keep the focus in the dialog: Qt would pass it on to the next button, Cancel."""
        if button.hasFocus():
            self.setFocus()
        button.setEnabled(False)

    def _enable(self, button: QPushButton, then: QPushButton) -> None:
        """``then`` gets the focus, unless the person has moved it meanwhile."""
        button.setEnabled(True)
        if self.focusWidget() in (None, self):
            then.setFocus()

    async def _test(self) -> None:
        passed: list[Broker] = []
        try:
            profile = await self._checked_profile(keep=False)
            for line, name in zip(self._stages, STAGES, strict=True):
                line.show_stage(Stage(name))
            self._panel.show()
            self.adjustSize()
            passed = await self._bridge.run(
                check_connection(
                    profile,
                    self._make_client(profile),
                    lambda number, stage: self._bridge.post(self._show_stage, number, stage),
                )
            )
        except ClientError as error:
            self._show_problem(f"{error} {error.next_step}".strip())
        self._enable(self.test, self.connect_button if passed else self.test)

    def _show_stage(self, number: int, stage: Stage) -> None:
        self._stages[number].show_stage(stage)
        self.adjustSize()

    def connect_now(self) -> None:
        self._show_problem("")
        self._disable(self.connect_button)
        self._tasks.start(self._connect(), self)

    async def _connect(self) -> None:
        try:
            self.accepted_profile = await self._checked_profile(keep=True)
        except ClientError as error:
            self._show_problem(f"{error} {error.next_step}".strip())
            self._enable(self.connect_button, self.connect_button)
        else:
            self.accept()

    def _show_problem(self, sentence: str) -> None:
        self._problem.setText(sentence)
        self._problem.setVisible(bool(sentence))
        set_role(
            self.servers,
            "true" if sentence and not self.servers.text().strip() else "false",
            "wrong",
        )
