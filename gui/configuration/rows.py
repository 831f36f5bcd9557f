"""What the tables of the configuration page show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka_client.commands.configs import describe_resource
from kafka_client.model import ClusterSnapshot, ConfigEntry, ConfigResource, ConfigSource
from widgets.column import Column

ALL_BROKERS = ConfigResource("broker", "")


@dataclass(frozen=True, slots=True)
class ResourceRow:
    resource: ConfigResource
    title: str
    kind: str
    order: tuple[int, str]


def resource_rows(snapshot: ClusterSnapshot, internal: bool = False) -> list[ResourceRow]:
    """All brokers together, each broker, then the topics."""
    rows = [ResourceRow(ALL_BROKERS, "All brokers", "cluster default", (0, ""))]
    rows += [
        ResourceRow(ConfigResource("broker", str(b)), f"Broker {b}", "broker", (1, f"{b:012}"))
        for b in sorted(snapshot.brokers)
    ]
    rows += [
        ResourceRow(ConfigResource("topic", t), t, "topic", (2, t))
        for t in sorted(snapshot.topics)
        if internal or not t.startswith("__")
    ]
    return rows


RESOURCE_COLUMNS: list[Column[ResourceRow]] = [
    Column("order", "", lambda r: r.order, text=lambda _: "", hidden=True),
    Column(
        "title",
        "Resource",
        lambda r: r.title,
        stretch=True,
        icon=lambda r: "topics" if r.kind == "topic" else "brokers",
    ),
]


@dataclass(frozen=True, slots=True)
class SettingRow:
    entry: ConfigEntry
    pending: bool
    wanted: str | None
    """what an edit that is not yet applied would set; None resets to the default"""

    @property
    def differs(self) -> bool:
        return self.pending or self.entry.source not in (ConfigSource.DEFAULT, ConfigSource.UNKNOWN)

    @property
    def shown(self) -> str:
        if self.pending:
            return "→ the default" if self.wanted is None else f"→ {self.wanted}"
        if self.entry.sensitive:
            return "hidden"
        return self.entry.value if self.entry.value is not None else ""

    @property
    def mark(self) -> str:
        marks = ["restart needed"] if self.entry.read_only else []
        if self.entry.sensitive:
            marks.append("sensitive")
        return ", ".join(marks)


SOURCE_TONES = {
    ConfigSource.TOPIC: "accent",
    ConfigSource.BROKER: "accent",
    ConfigSource.CLUSTER: "accent",
    ConfigSource.FILE: "text_muted",
    ConfigSource.DEFAULT: "text_faint",
    ConfigSource.UNKNOWN: "text_faint",
}


def _default(entry: ConfigEntry) -> str:
    if entry.sensitive:
        return "hidden"
    return "" if entry.default is None else entry.default


def _name_tip(row: SettingRow) -> str:
    words = row.entry.text or row.entry.name
    return f"{words} ({row.mark})" if row.mark else words


SETTING_COLUMNS: list[Column[SettingRow]] = [
    Column("name", "Setting", lambda r: r.entry.name, width=230, tip=_name_tip,
           tone=lambda r: "text_muted" if r.entry.read_only else "text"),
    Column("value", "Value", lambda r: r.shown, width=110, stretch=True, mono=True,
           tone=lambda r: "warn" if r.pending else "text"),
    Column("source", "Comes from", lambda r: str(r.entry.source), width=106,
           tone=lambda r: SOURCE_TONES[r.entry.source]),
    Column("default", "Default", lambda r: _default(r.entry), width=100, mono=True, tone=lambda r: "text_faint"),
    Column("mark", "Notes", lambda r: r.mark, width=110, tone=lambda r: "text_muted", hidden=True),
]  # fmt: skip


def setting_rows(
    entries: Sequence[ConfigEntry], pending: Mapping[str, str | None]
) -> list[SettingRow]:
    return [SettingRow(e, e.name in pending, pending.get(e.name)) for e in entries]


def whose(resource: ConfigResource) -> str:
    words = describe_resource(resource)
    return words[0].upper() + words[1:]
