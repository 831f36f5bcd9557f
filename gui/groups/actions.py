"""Deletes the groups that are selected in a table."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from gui.pages import PageContext
from gui.plan_dialog import bootstrap_of, reviewed
from kafka_client.commands import groups
from kafka_client.errors import ClientError


def delete_groups(context: PageContext, names: Sequence[str], parent: QWidget) -> None:
    """Show the plan that deletes these groups, or the reason why there is none."""
    try:
        plan = groups.delete_groups(context.session.snapshot, names, bootstrap_of(context))
    except ClientError as error:
        context.notify(str(error), "warn")
        return
    context.session.tasks.start(reviewed(context, plan, parent))
