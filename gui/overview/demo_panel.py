"""The panel of an embedded cluster on the Overview: the rate of the demo traffic, its consumers,
and how other programs connect to the cluster."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QSignalBlocker, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QSlider, QWidget

from gui.embedded.demo_traffic import DemoTraffic
from gui.navigation import GroupTarget
from gui.overview.snippets import SNIPPETS
from gui.pages import PageContext
from widgets import figures
from widgets.clipboard import copy_lines
from widgets.plain import plain, tooltip, without_mnemonic

STEPS = 100
"""of the slider"""
MOST = 20.0
"""times the rate of the demo's scenario"""


def rate_of(step: int) -> float:
    """Step 0 is off, the middle step is 1, the last is MOST; others grow by equal factors."""
    return 0.0 if step == 0 else round(MOST ** ((step - STEPS / 2) / (STEPS / 2)), 2)


def step_of(rate: float) -> int:
    return 0 if rate <= 0 else max(1, min(STEPS, round((math.log(rate, MOST) + 1) * STEPS / 2)))


class DemoPanel(QFrame):
    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.theme = context.theme
        self._traffic: DemoTraffic | None = None
        self._consumers: dict[str, QPushButton] = {}
        self.setProperty("role", "card")
        self.setFixedHeight(56)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, STEPS)
        self._slider.setValue(STEPS // 2)
        self._slider.setFixedWidth(160)
        self._slider.setAccessibleName("Rate of the demo's producers")
        self._slider.valueChanged.connect(self._slid)
        self._rate = plain("1×", self, role="muted")
        self._rate.setFixedWidth(120)
        self._title = plain("", self, role="strong")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 8, 12, 8)
        self._row.setSpacing(12)
        self._row.addWidget(self._title)
        self._row.addWidget(self._slider)
        self._row.addWidget(self._rate)
        self._line = QFrame(self)
        self._line.setProperty("role", "line-vertical")
        self._row.addWidget(self._line)
        self._consumers_title = plain("Consumers", self, role="muted")
        self._row.addWidget(self._consumers_title)
        self._row.addStretch(1)
        self._address = plain("", self, role="mono")
        self._row.addWidget(self._address)
        self._connect = QPushButton("Connect from…", self)
        self._connect.setToolTip("Copy code that connects to this cluster")
        self._connect.clicked.connect(self._open_snippets)
        self._row.addWidget(self._connect)
        embedded = context.session.embedded
        assert embedded is not None
        self._servers = embedded.bootstrap_servers
        first, *others = self._servers.split(",")
        self._address.setText(f"{first} +{len(others)}" if others else first)
        self._address.setToolTip(tooltip(self._servers.replace(",", "\n")))
        self.show_traffic(embedded.traffic)

    def show_traffic(self, traffic: DemoTraffic | None) -> None:
        self._traffic = traffic
        self._title.setText("Demo traffic" if traffic is not None else "Embedded cluster")
        for widget in (self._slider, self._rate, self._line, self._consumers_title):
            widget.setVisible(traffic is not None)
        if traffic is not None:
            traffic.changed.connect(self._show)
            traffic.ended.connect(self._traffic_ended)
            self._slider.setValue(step_of(traffic.rate))
            self._show()

    def _traffic_ended(self, reason: str) -> None:
        self.context.notify(reason, "warn")

    def _slid(self, step: int) -> None:
        if self._traffic is not None:
            self._traffic.set_rate(rate_of(step))
            self._show()

    def _show(self) -> None:
        traffic = self._traffic
        if traffic is None:
            return
        produced = (
            f", {figures.rate(traffic.produced_per_s)}"
            if traffic.produced_per_s is not None
            else ""
        )
        if not self._slider.isSliderDown():
            with QSignalBlocker(self._slider):
                self._slider.setValue(step_of(traffic.rate))
        self._rate.setText("off" if traffic.rate == 0 else f"{traffic.rate:g}×{produced}")
        for name, consumer in traffic.consumers.items():
            button = self._consumers.get(name)
            if button is None:
                button = QPushButton(self)
                button.setProperty("role", "quiet")
                button.clicked.connect(lambda _=False, name=name: self._open_consumer(name))
                self._consumers[name] = button
                self._row.insertWidget(
                    self._row.indexOf(self._consumers_title) + len(self._consumers), button
                )
            members = f" ×{consumer.members}" if consumer.members != 1 else ""
            button.setText(without_mnemonic(f"{name}{members}"))
            icon, tone = ("pause", "warn") if consumer.paused else ("member", "text_muted")
            button.setIcon(self.theme.icon(icon, tone))
            button.setToolTip(
                "Paused" if consumer.paused else f"Consumes {figures.rate(consumer.per_s)}"
            )
            button.show()

    def _open_consumer(self, name: str) -> None:
        traffic = self._traffic
        if traffic is None or name not in traffic.consumers:
            return
        consumer = traffic.consumers[name]
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(
            self.theme.icon("play" if consumer.paused else "pause"),
            "Resume consuming" if consumer.paused else "Pause consuming",
            lambda: traffic.pause(name, not consumer.paused),
        )
        menu.addAction(
            self.theme.icon("plus"), "Add a consumer", lambda: traffic.add_consumer(name)
        )
        if consumer.members > 1:
            menu.addAction(
                self.theme.icon("minus"), "Remove a consumer", lambda: traffic.remove_consumer(name)
            )
        menu.addSeparator()
        menu.addAction(
            self.theme.icon("groups"),
            "Open its group",
            lambda: self.context.navigate(GroupTarget(name)),
        )
        button = self._consumers[name]
        menu.popup(button.mapToGlobal(QPoint(0, button.height())))

    def _open_snippets(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        address = self._servers
        for title, text in (("Bootstrap address", "{address}"), *SNIPPETS):
            menu.addAction(
                self.theme.icon("copy"),
                "Copy the address"
                if text == "{address}"
                else without_mnemonic(f"Copy for {title}"),
                lambda title=title, text=text: self._copy(
                    title, text.replace("{address}", address)
                ),
            )
        menu.popup(self._connect.mapToGlobal(QPoint(0, self._connect.height())))

    def _copy(self, title: str, text: str) -> None:
        copy_lines(text)
        self.context.notify(f"{title} copied.", "ok")
