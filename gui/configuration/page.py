"""Configuration of brokers and topics: each setting with its value and where it comes from.

Edits are collected into one plan. The settings are read when a resource is shown, when the page
comes into view again, on request, and once more for the plan, so that a plan never starts from
values that somebody else has changed meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from gui.configuration.editor import SettingEditor
from gui.configuration.pending_bar import PendingBar
from gui.configuration.rows import (
    ALL_BROKERS,
    RESOURCE_COLUMNS,
    SETTING_COLUMNS,
    ResourceRow,
    SettingRow,
    heading,
    resource_rows,
    setting_rows,
)
from gui.navigation import ConfigurationTarget, Target
from gui.page_kit.live_page import LivePage
from gui.page_kit.page_table import page_table
from gui.page_kit.table_list import HEAD_PIXELS, MARGINS
from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, reviewed
from kafka_client.changes import Changes
from kafka_client.commands.configs import change_configs, describe_resource
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, ConfigChange, ConfigEntry, ConfigResource
from widgets import figures
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain

RESOURCES_PIXELS, EDITOR_PIXELS = 190, 300
"""first widths of the panes at the left and at the right"""
CHANGES_NAMED = 3

Entries = dict[ConfigResource, tuple[ConfigEntry, ...]]


class ConfigurationPage(LivePage):
    """A ConfigurationTarget shows the settings of one broker or topic."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.resource: ConfigResource | None = None
        self._entries: Entries = {}
        self._read_at: dict[ConfigResource, float] = {}
        """when the entries of a resource were read, seconds since the epoch"""
        self._pending: dict[tuple[ConfigResource, str], str | None] = {}
        """edits that are not applied; None resets to the default"""
        self._reading: asyncio.Task[None] | None = None
        self._sized = False
        """the panes have their first widths"""
        self._resources: KeyedTableModel[ResourceRow] = KeyedTableModel(
            RESOURCE_COLUMNS, lambda r: r.resource
        )
        self._settings: KeyedTableModel[SettingRow] = KeyedTableModel(
            SETTING_COLUMNS, lambda r: r.entry.name
        )
        self.resource_table = page_table(
            context,
            self._resources,
            name="config-resources",
            noun="resource",
            sort="order",
            remembered=False,
        )
        self.setting_table = page_table(
            context,
            self._settings,
            name="settings",
            noun="setting",
            sort="name",
        )
        self.editor = SettingEditor(self.session.read_only, self)
        self._changed_only = QCheckBox("Only non-default values", self)
        self.setting_table.add_tool(self._changed_only)
        self._heading = plain("", self, role="heading")
        self._age = plain("", self, role="faint")
        self._refresh = QToolButton(self)
        self.pending_bar = PendingBar(self)
        self._build()
        self._connect()
        self.watch(self.state)
        self.setFocusProxy(self.setting_table)

    def _build(self) -> None:
        self._refresh.setToolTip("Read the settings again (F5)")
        self._refresh.setAccessibleName("Read the settings again")
        self._refresh.setShortcut("F5")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._heading)
        head.addStretch(1)
        head.addWidget(self._age)
        head.addWidget(self._refresh)
        self._halves = QSplitter(Qt.Orientation.Horizontal, self)
        self._halves.addWidget(self.setting_table)
        self._halves.addWidget(self.editor)
        self._halves.setStretchFactor(0, 1)
        self._halves.setChildrenCollapsible(False)
        self.editor.setMinimumWidth(280)
        right = QWidget(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(16, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self._halves, 1)
        self.state = PageState(self.theme, right, self)
        self._whole = QSplitter(Qt.Orientation.Horizontal, self)
        self._whole.addWidget(self.resource_table)
        self._whole.addWidget(self.state)
        self._whole.setStretchFactor(1, 1)
        self._whole.setChildrenCollapsible(False)
        self.resource_table.setMinimumWidth(180)
        self.resource_table.counts.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.setSpacing(12)
        title = plain("Configuration", self, role="title")
        title.setFixedHeight(HEAD_PIXELS)
        layout.addWidget(title)
        layout.addWidget(self._whole, 1)
        layout.addWidget(self.pending_bar)

    def _connect(self) -> None:
        self.resource_table.selection_changed.connect(self._resource_selected)
        self.setting_table.selection_changed.connect(self._setting_selected)
        self._changed_only.toggled.connect(self._filter_settings)
        self._refresh.clicked.connect(self.read)
        self.state.retry_requested.connect(self.read)
        self.editor.edited.connect(self._add_edit)
        self.editor.edit_dropped.connect(self._drop_edit)
        self.pending_bar.discard_requested.connect(self._discard)
        self.pending_bar.review_requested.connect(
            lambda: self.session.tasks.start(self._review(), owner=self)
        )
        self.theme.changed.connect(self._recolour)
        self._recolour()

    def _recolour(self) -> None:
        self._refresh.setIcon(self.theme.icon("refresh"))

    # ---- resources

    def show_target(self, target: Target) -> None:
        if isinstance(target, ConfigurationTarget):
            self.show_resource(target.resource)

    @override
    def refresh(self, snapshot: ClusterSnapshot, changes: Changes) -> None:
        self._resources.merge(resource_rows(snapshot))
        if self.resource is None:
            self.show_resource(ConfigResource("broker", str(min(snapshot.brokers))))
        elif not self.resource_table.selected_rows():
            self.resource_table.select_key(self.resource)  # shown before the list had it
        self._show_age()

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._sized:
            self._sized = True
            rest = self.width() - RESOURCES_PIXELS
            self._whole.setSizes([RESOURCES_PIXELS, rest])
            self._halves.setSizes([rest - EDITOR_PIXELS, EDITOR_PIXELS])
        if self.resource is not None:
            self.read()

    def show_resource(self, resource: ConfigResource) -> None:
        """Show the settings of this broker or topic; also of one that the list does not have."""
        if self.resource_table.select_key(resource) or resource != self.resource:
            self._show_settings_of(resource)

    def _resource_selected(self, rows: list[ResourceRow]) -> None:
        if rows:
            self._show_settings_of(rows[0].resource)

    def _setting_selected(self, rows: list[SettingRow]) -> None:
        row = rows[0] if rows else None
        if row is None or row.entry.name != self.editor.name:
            self.editor.leave()
        self.editor.show_row(row)

    def _show_settings_of(self, resource: ConfigResource) -> None:
        if resource == self.resource:
            return
        self.editor.leave()
        self.resource = resource
        self._heading.setText(heading(resource))
        self._settings.merge([])
        self.editor.show_row(None)
        self.read()

    # ---- reading

    def read(self) -> None:
        """Read the settings of the resource again; what is shown stays until they are there."""
        if self._reading is not None:
            self._reading.cancel()
        if self.resource is not None:
            self._reading = self.session.tasks.start(self._read(self.resource), owner=self)

    async def _read(self, resource: ConfigResource) -> None:
        """Cancelled when another resource is shown."""
        described = describe_resource(resource)
        if resource not in self._entries:
            self.state.show_loading(f"Reading the settings of {described}…")
        try:
            found = await self.session.ask(lambda client: client.configs([resource]))
        except ClientError as error:
            self.state.show_failed(
                f"The settings of {described} could not be read", str(error), error.next_step
            )
        else:
            self._store(found)
            self._show_settings()

    def _store(self, found: Entries) -> None:
        self._entries.update(found)
        self._read_at.update(dict.fromkeys(found, time.time()))

    # ---- settings

    def _show_settings(self) -> None:
        resource = self.resource
        if resource is None:
            return
        entries = self._entries.get(resource, ())
        pending = {name: value for (of, name), value in self._pending.items() if of == resource}
        self._settings.merge(setting_rows(entries, pending))
        self.editor.show_row(self.setting_table.current_row())
        self._show_empty_words(resource)
        self._show_age()
        self._count_edits()
        self.state.show_content()

    def _show_empty_words(self, resource: ConfigResource) -> None:
        if resource == ALL_BROKERS:
            self.setting_table.set_empty_words(
                "configuration",
                "No cluster-wide defaults",
                "Settings given to all brokers at once appear here.",
            )
        else:
            self.setting_table.set_empty_words(
                "configuration", "No such settings", "Every setting has its default value."
            )

    def _show_age(self) -> None:
        read_at = self._read_at.get(self.resource) if self.resource is not None else None
        self._age.setText("" if read_at is None else f"read at {figures.clock(read_at)}")

    def _filter_settings(self, changed_only: bool) -> None:
        self._settings.set_accept((lambda row: row.differs) if changed_only else None)

    # ---- edits and their plan

    def _add_edit(self, name: str, value: str | None) -> None:
        if self.resource is not None:
            self._pending[self.resource, name] = value
            self._show_settings()

    def _drop_edit(self, name: str) -> None:
        if self.resource is not None:
            self._pending.pop((self.resource, name), None)
            self._show_settings()

    def _count_edits(self) -> None:
        self.pending_bar.show_count(len(self._pending))
        self.session.unapplied[self] = len(self._pending)

    def _discard(self) -> None:
        self._pending.clear()
        self._show_settings()

    async def _review(self) -> None:
        """Read the edited resources again and show the plan, or why there is none."""
        edits = dict(self._pending)
        resources = sorted({resource for resource, _ in edits}, key=describe_resource)
        before = {resource: self._entries.get(resource, ()) for resource in resources}
        changes = [ConfigChange(resource, name, value) for (resource, name), value in edits.items()]
        self.pending_bar.setEnabled(False)
        try:
            found = await self.session.ask(lambda client: client.configs(resources))
            plan = change_configs(found, changes, bootstrap_of(self.context))
        except ClientError as error:
            self.context.notify(f"{error} {error.next_step}".strip(), "warn")
            return
        finally:
            self.pending_bar.setEnabled(True)
        self._store(found)
        self._show_settings()
        moved = changed_meanwhile(before, found, edits)
        if moved:
            names = ", ".join(moved[:CHANGES_NAMED])
            self.context.notify(f"Changed by another client meanwhile: {names}.", "warn")
        if await reviewed(self.context, plan, self):
            self._applied()

    def _applied(self) -> None:
        """Show what the cluster says now, not what was sent."""
        self._pending.clear()
        self._entries.clear()
        self._count_edits()
        self.read()


def changed_meanwhile(
    before: Entries,
    now: Entries,
    edits: dict[tuple[ConfigResource, str], str | None],
) -> list[str]:
    """Names of edited settings whose value is no longer the one that the person saw."""

    def values(entries: Sequence[ConfigEntry]) -> dict[str, str | None]:
        return {entry.name: entry.value for entry in entries}

    moved = []
    for resource, name in edits:
        old, new = values(before.get(resource, ())), values(now.get(resource, ()))
        if name in old and old[name] != new.get(name):
            moved.append(f"{name} of {describe_resource(resource)}")
    return moved
