"""The metadata of a record: where it is, when it was written, how large it is."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from gui.messages.record_columns import exact_time, size_of
from kafka_client.model import Record
from resources.outgoing import visible
from resources.wording import counted
from widgets.figures import UNKNOWN
from widgets.plain import plain

TIMESTAMP_TYPES = {"create": "set by the producer", "append": "set by the broker", "none": "none"}


def metadata_of(record: Record) -> dict[str, str]:
    """Name -> text, in the order of the view."""
    local, _, epoch = exact_time(record.timestamp_ms).partition("\n")
    has_time = record.timestamp_ms >= 0
    epoch_ms = (epoch or local).split(" ")[0]
    leader_epoch = record.leader_epoch
    return {
        "Topic": record.topic,
        "Partition": str(record.partition),
        "Offset": str(record.offset),
        "Timestamp": local if has_time else "none",
        "Timestamp, ms": epoch_ms if has_time else UNKNOWN,
        "Timestamp type": TIMESTAMP_TYPES.get(record.timestamp_type, record.timestamp_type),
        "Leader epoch": UNKNOWN if leader_epoch is None else str(leader_epoch),
        "Key": _size(record.key),
        "Value": _size(record.value),
        "Headers": f"{len(record.headers):,}",
        "Total size": counted(size_of(record), "byte"),
    }


def _size(data: bytes | None) -> str:
    return "null" if data is None else counted(len(data), "byte")


class MetadataView(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 4, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self._labels: dict[str, QLabel] = {}

    def show_record(self, record: Record) -> None:
        for row, (name, text) in enumerate(metadata_of(record).items()):
            if name not in self._labels:
                self._labels[name] = plain("", self, role="mono", selectable=True)
                self._grid.addWidget(plain(name, self, role="muted"), row, 0)
                self._grid.addWidget(self._labels[name], row, 1)
                self._grid.setRowStretch(row, 0)
                self._grid.setRowStretch(row + 1, 1)  # the room below the last row
            self._labels[name].setText(visible(text))
