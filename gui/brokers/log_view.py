"""The end of an embedded broker's log, read again while it is visible."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QPlainTextEdit, QWidget
from typing_extensions import override

from gui.embedded.cluster import EmbeddedCluster
from gui.tasks import TaskScope
from kafka_client.errors import ClientError
from resources.outgoing import visible

READ_EVERY_MS = 1500
LINES_KEPT = 600
LONGEST_LINE = 2000


class BrokerLog(QPlainTextEdit):
    """Follows the end of the log unless the person has scrolled up."""

    def __init__(self, cluster: EmbeddedCluster, tasks: TaskScope, parent: QWidget) -> None:
        super().__init__(parent)
        self._cluster = cluster
        self._tasks = tasks
        self._broker_id: int | None = None
        self._text = ""
        self.setReadOnly(True)
        self.setProperty("role", "mono")
        self.setMaximumBlockCount(LINES_KEPT)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._timer = QTimer(self)
        self._timer.setInterval(READ_EVERY_MS)
        self._timer.timeout.connect(self._read)

    def show_broker(self, broker_id: int) -> None:
        if broker_id != self._broker_id:
            self._broker_id = broker_id
            self._text = ""
            self.clear()
            if self.isVisible():
                self._read()

    def _read(self) -> None:
        if self._broker_id is not None:
            self._tasks.start(self._show_tail(self._broker_id), owner=self)

    async def _show_tail(self, broker_id: int) -> None:
        try:
            text = await self._cluster.log_tail(broker_id)
        except ClientError as error:
            text = str(error)
        self._show(broker_id, text)

    def _show(self, broker_id: int, text: str) -> None:
        if broker_id != self._broker_id or text == self._text:
            return
        self._text = text
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        lines = text.splitlines()[-LINES_KEPT:]
        self.setPlainText("\n".join(visible(line, limit=LONGEST_LINE) for line in lines))
        if at_end:
            bar.setValue(bar.maximum())

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self._read()

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()
