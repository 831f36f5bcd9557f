"""Computes the rows of the tables of the Configuration page. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gui.configuration.text import plain_description, readable
from kafka_client.commands.configs import describe_resource
from kafka_client.model import ClusterSnapshot, ConfigEntry, ConfigResource, ConfigSource
from widgets.column import Column

ALL_BROKERS = ConfigResource("broker", "")
"""the cluster-wide defaults of brokers"""


@dataclass(frozen=True, slots=True)
class ResourceRow:
    resource: ConfigResource
    title: str
    order: tuple[int, str]


def resource_rows(snapshot: ClusterSnapshot) -> list[ResourceRow]:
    """All brokers together, each broker, then the topics that are not internal."""
    rows = [ResourceRow(ALL_BROKERS, "All brokers", (0, ""))]
    rows += [
        ResourceRow(ConfigResource("broker", str(b)), f"Broker {b}", (1, f"{b:012}"))
        for b in sorted(snapshot.brokers)
    ]
    rows += [
        ResourceRow(ConfigResource("topic", t), t, (2, t))
        for t in sorted(snapshot.topics)
        if not t.startswith("__")
    ]
    return rows


RESOURCE_COLUMNS: list[Column[ResourceRow]] = [
    Column("order", "", lambda r: r.order, text=lambda _: "", hidden=True),
    Column("title", "Resource", lambda r: r.title, stretch=True,
           icon=lambda r: "topics" if r.resource.kind == "topic" else "brokers"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class SettingRow:
    entry: ConfigEntry
    pending: bool
    """an edit of it is not yet applied"""
    wanted: str | None
    """what the edit sets; None resets to the default"""

    @property
    def differs(self) -> bool:
        defaults = (ConfigSource.DEFAULT, ConfigSource.UNKNOWN)
        return self.pending or self.entry.source not in defaults

    @property
    def shown(self) -> str:
        if self.pending:
            return "→ the default" if self.wanted is None else f"→ {self.wanted}"
        if self.entry.sensitive:
            return "hidden"
        return self.entry.value if self.entry.value is not None else ""

    @property
    def unit(self) -> str:
        """The shown value in a readable unit."""
        if self.entry.sensitive:
            return ""
        return readable(self.entry.name, self.wanted if self.pending else self.entry.value)

    @property
    def notes(self) -> str:
        notes = ["restart needed"] if self.entry.read_only else []
        if self.entry.sensitive:
            notes.append("sensitive")
        return ", ".join(notes)


def setting_rows(
    entries: Sequence[ConfigEntry], pending: Mapping[str, str | None]
) -> list[SettingRow]:
    """``pending``: name -> value of an edit that is not yet applied, None for a reset."""
    return [SettingRow(e, e.name in pending, pending.get(e.name)) for e in entries]


SOURCE_TONES = {
    ConfigSource.TOPIC: "accent",
    ConfigSource.BROKER: "accent",
    ConfigSource.CLUSTER: "accent",
    ConfigSource.FILE: "text_muted",
    ConfigSource.DEFAULT: "text_faint",
    ConfigSource.UNKNOWN: "text_faint",
}


def _default(row: SettingRow) -> str:
    return "hidden" if row.entry.sensitive else row.entry.default or ""


def _name_tip(row: SettingRow) -> str:
    text = plain_description(row.entry) or row.entry.name
    return f"{text}\n({row.notes})" if row.notes else text


SETTING_COLUMNS: list[Column[SettingRow]] = [
    Column("name", "Setting", lambda r: r.entry.name, width=200, tip=_name_tip,
           tone=lambda r: "text_muted" if r.entry.read_only else "text"),
    Column("value", "Value", lambda r: r.shown, width=96, stretch=True, mono=True,
           tone=lambda r: "warn" if r.pending else "text"),
    Column("unit", "In units", lambda r: r.unit, width=76, tone=lambda r: "text_muted",
           help="The value in a readable unit"),
    Column("source", "Source", lambda r: str(r.entry.source), width=80,
           help="Where the value comes from", tone=lambda r: SOURCE_TONES[r.entry.source]),
    Column("default", "Default", _default, width=100, mono=True, tone=lambda r: "text_faint",
           hidden=True),
    Column("mark", "Notes", lambda r: r.notes, width=110, tone=lambda r: "text_muted", hidden=True),
]  # fmt: skip


def heading(resource: ConfigResource) -> str:
    text = describe_resource(resource)
    return text[0].upper() + text[1:]
