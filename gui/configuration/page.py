"""Configuration of brokers and topics: each setting, its value, where it comes from; edits gather
in a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.configuration.editor import SettingEditor
from gui.configuration.rows import (
    ALL_BROKERS,
    RESOURCE_COLUMNS,
    SETTING_COLUMNS,
    ResourceRow,
    SettingRow,
    resource_rows,
    setting_rows,
    whose,
)
from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, show_plan
from kafka_client.commands.configs import change_configs, describe_resource
from kafka_client.errors import ClientError
from kafka_client.model import ConfigChange, ConfigEntry, ConfigResource
from widgets.figures import plural
from widgets.keyed_table_model import KeyedTableModel
from widgets.page_state import PageState
from widgets.plain import plain
from widgets.table_view import TableView


class ConfigurationPage(QWidget):
    """``open(kind="topic", name="email")`` shows the settings of one resource."""

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.context = context
        self.resource: ConfigResource | None = None
        self._entries: dict[ConfigResource, Sequence[ConfigEntry]] = {}
        self._pending: dict[tuple[ConfigResource, str], str | None] = {}
        self._ticket: asyncio.Task[None] | None = None
        self._resources: KeyedTableModel[ResourceRow] = KeyedTableModel(
            RESOURCE_COLUMNS, lambda r: r.resource
        )
        self._settings: KeyedTableModel[SettingRow] = KeyedTableModel(
            SETTING_COLUMNS, lambda r: r.entry.name
        )
        self.resource_table = TableView(
            context.theme, self._resources, name="config-resources", noun="resource", sort="order"
        )
        self.setting_table = TableView(
            context.theme,
            self._settings,
            name="settings",
            memory=context.preferences,
            noun="setting",
            sort="name",
        )
        self.setting_table.set_empty_words(
            "configuration", "No settings", "Every setting of this resource has its default value."
        )
        self.editor = SettingEditor(context.session.read_only, self)
        self._differs = QCheckBox("Only non-default values", self)
        self._differs.toggled.connect(self._accept)
        self.setting_table.add_tool(self._differs)
        self._title = plain("", self, role="heading")
        self._bar = QFrame(self)
        self._bar_text = plain("", self._bar)
        self._build()
        self.resource_table.selection_changed.connect(self._resource_chosen)
        self.setting_table.selection_changed.connect(
            lambda rows: self.editor.show_row(rows[0] if rows else None)
        )
        self.editor.edited.connect(self._edit)
        self.editor.taken_back.connect(self._take_back)
        context.session.snapshot_changed.connect(self._refresh)
        self._refresh()

    def _build(self) -> None:
        right = QWidget(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(16, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._title)
        halves = QSplitter(Qt.Orientation.Horizontal, right)
        halves.addWidget(self.setting_table)
        halves.addWidget(self.editor)
        halves.setSizes([680, 300])
        halves.setChildrenCollapsible(False)
        self.editor.setMinimumWidth(280)
        column.addWidget(halves, 1)
        self.settings_state = PageState(self.context.theme, right, self)
        self.settings_state.retry_requested.connect(lambda: self._ask())
        whole = QSplitter(Qt.Orientation.Horizontal, self)
        whole.addWidget(self.resource_table)
        whole.addWidget(self.settings_state)
        whole.setSizes([230, 980])
        whole.setChildrenCollapsible(False)
        self.resource_table.setMinimumWidth(180)
        self.resource_table.counts.hide()
        self._bar.setProperty("role", "banner")
        self._bar.setProperty("tone", "accent")
        row = QHBoxLayout(self._bar)
        row.setContentsMargins(16, 8, 8, 8)
        drop = QPushButton("Discard", self._bar)
        drop.clicked.connect(self._discard)
        review = QPushButton("Review…", self._bar)
        review.setProperty("role", "primary")
        review.clicked.connect(self._review)
        row.addWidget(self._bar_text, 1)
        row.addWidget(drop)
        row.addWidget(review)
        self._bar.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(plain("Configuration", self, role="title"))
        layout.addWidget(whole, 1)
        layout.addWidget(self._bar)

    def open(self, kind: str = "", name: str = "", topic: str = "", broker: int | str = "") -> None:
        if topic:
            kind, name = "topic", topic
        elif broker != "":
            kind, name = "broker", str(broker)
        if kind:
            self._choose(ConfigResource(kind, str(name)))

    def _choose(self, resource: ConfigResource) -> None:
        if not self.resource_table.select_key(resource):
            self._show_resource(resource)

    def _refresh(self, *_: object) -> None:
        session = self.context.session
        if not session.loaded:
            self.settings_state.show_loading()
            return
        self._resources.merge(resource_rows(session.snapshot))
        if self.resource is None:
            self._choose(ConfigResource("broker", str(min(session.snapshot.brokers))))

    def _resource_chosen(self, rows: list[ResourceRow]) -> None:
        if rows and rows[0].resource != self.resource:
            self._show_resource(rows[0].resource)

    def _show_resource(self, resource: ConfigResource) -> None:
        self.resource = resource
        self._title.setText(whose(resource))
        self._settings.merge([])
        self.editor.show_row(None)
        self._ask()

    def _ask(self) -> None:
        resource = self.resource
        if resource is None:
            return
        if self._ticket is not None:
            self._ticket.cancel()
        if resource not in self._entries:
            self.settings_state.show_loading(
                f"Asking for the settings of {describe_resource(resource)}…"
            )

        def came(found: dict[ConfigResource, tuple[ConfigEntry, ...]]) -> None:
            self._entries.update(found)
            if resource == self.resource:
                self._show_settings()

        self._ticket = self.context.session.ask(
            lambda client: client.configs([resource]),
            came,
            lambda error: self._failed(resource, error),
            self,
        )

    def _failed(self, resource: ConfigResource, error: ClientError) -> None:
        if resource == self.resource:
            title = f"The settings of {describe_resource(resource)} could not be read"
            self.settings_state.show_failed(title, str(error), error.next_step)

    def _show_settings(self) -> None:
        resource = self.resource
        if resource is None:
            return
        entries = self._entries.get(resource, ())
        pending = {name: value for (of, name), value in self._pending.items() if of == resource}
        self._settings.merge(setting_rows(entries, pending))
        chosen = self.setting_table.current_row()
        self.editor.show_row(chosen)
        if not entries and resource == ALL_BROKERS:
            self.settings_state.show_empty(
                "No cluster-wide defaults",
                "Settings given to all brokers at once appear here. Each broker's own are under its name.",
                icon="configuration",
            )
        else:
            self.settings_state.show_content()
        number = len(self._pending)
        self._bar.setVisible(number > 0)
        self._bar_text.setText(f"{plural(number, 'change')} not yet applied")

    def _accept(self, only: bool) -> None:
        self._settings.set_accept((lambda row: row.differs) if only else None)

    def _edit(self, name: str, value: str | None) -> None:
        if self.resource is not None:
            self._pending[self.resource, name] = value
            self._show_settings()

    def _take_back(self, name: str) -> None:
        if self.resource is not None:
            self._pending.pop((self.resource, name), None)
            self._show_settings()

    def _discard(self) -> None:
        self._pending.clear()
        self._show_settings()

    def _review(self) -> None:
        changes = [
            ConfigChange(resource, name, value) for (resource, name), value in self._pending.items()
        ]
        try:
            plan = change_configs(self._entries, changes, bootstrap_of(self.context))
        except ClientError as e:
            self.context.notify(str(e), "warn")
            return
        dialog = show_plan(self.context, plan, self)
        dialog.applied.connect(self._applied)

    def _applied(self) -> None:
        """What was set is shown once the cluster itself says so."""
        self._pending.clear()
        self._entries.clear()
        self._ask()
