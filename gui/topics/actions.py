"""What can be done to topics: each makes a plan and shows it; a plan that cannot be made says
why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, show_plan
from kafka_client.commands import topics
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import TopicPartition


class TopicActions(QObject):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self._parent = parent

    def _show(self, make: Callable[[], Plan]) -> None:
        try:
            plan = make()
        except ClientError as e:
            self.context.notify(str(e), "warn")
            return
        show_plan(self.context, plan, self._parent)

    def create(
        self, like: str = "", name: str = "", partitions: str = "", replication: str = ""
    ) -> None:
        from gui.topics.create_dialog import CreateTopicDialog

        CreateTopicDialog(self.context, self._parent, like, name, partitions, replication).open()

    def add_partitions(self, topic: str) -> None:
        from gui.topics.create_dialog import AddPartitionsDialog

        AddPartitionsDialog(self.context, topic, self._parent).open()

    def empty(self, topic: str) -> None:
        self._show(
            lambda: topics.empty_topic(
                self.context.session.snapshot, topic, bootstrap_of(self.context)
            )
        )

    def delete(self, names: Sequence[str]) -> None:
        self._show(
            lambda: topics.delete_topics(
                self.context.session.snapshot, names, bootstrap_of(self.context)
            )
        )

    def elect_preferred(self, partitions: Sequence[TopicPartition]) -> None:
        self._show(
            lambda: topics.elect_preferred(
                self.context.session.snapshot, partitions, bootstrap_of(self.context)
            )
        )
