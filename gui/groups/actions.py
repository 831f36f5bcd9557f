"""What can be done to groups from their tables."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, show_plan
from kafka_client.commands import groups
from kafka_client.errors import ClientError


def delete_groups(context: PageContext, names: Sequence[str], parent: QWidget) -> None:
    try:
        plan = groups.delete_groups(context.session.snapshot, names, bootstrap_of(context))
    except ClientError as e:
        context.notify(str(e), "warn")
        return
    show_plan(context, plan, parent)
