"""Creates, extends, empties and deletes topics. Each action shows its plan before it sends
anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from gui.page_kit.form import PlanForm
from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, reviewed
from gui.tasks import opened
from gui.topics.create_dialog import AddPartitionsDialog, CreateTopicDialog
from kafka_client.commands import topics
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from kafka_client.model import ClusterSnapshot, TopicPartition

MakePlan = Callable[[ClusterSnapshot, str], Plan]
"""snapshot, bootstrap servers for the command line -> plan. Raises: ClientError."""


class TopicActions(QObject):
    def __init__(self, context: PageContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.context = context
        self._parent = parent

    def create(
        self,
        *,
        like: str = "",
        name: str = "",
        partitions: int | None = None,
        replication: int | None = None,
    ) -> None:
        self._show_form(
            CreateTopicDialog(
                self.context,
                self._parent,
                like=like,
                name=name,
                partitions=partitions,
                replication=replication,
            )
        )

    def add_partitions(self, topic: str) -> None:
        self._show_form(AddPartitionsDialog(self.context, topic, self._parent))

    def empty(self, topic: str) -> None:
        self._show_plan(lambda snapshot, servers: topics.empty_topic(snapshot, topic, servers))

    def delete(self, names: Sequence[str]) -> None:
        self._show_plan(lambda snapshot, servers: topics.delete_topics(snapshot, names, servers))

    def elect_preferred(self, partitions: Sequence[TopicPartition]) -> None:
        self._show_plan(
            lambda snapshot, servers: topics.elect_preferred(snapshot, partitions, servers)
        )

    def _show_form(self, form: PlanForm) -> None:
        self.context.session.tasks.start(self._review(form), owner=self)

    async def _review(self, form: PlanForm) -> None:
        accepted = await opened(form)
        if accepted and form.plan is not None:
            await reviewed(self.context, form.plan, self._parent)

    def _show_plan(self, make: MakePlan) -> None:
        try:
            plan = make(self.context.session.snapshot, bootstrap_of(self.context))
        except ClientError as error:
            self.context.notify(str(error), "warn")
        else:
            self.context.session.tasks.start(reviewed(self.context, plan, self._parent))
