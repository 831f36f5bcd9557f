"""A dialog with a form that ends in a plan: a title, rows, what is wrong, Cancel and Review.

Await it with ``gui.tasks.opened``; afterwards ``plan`` holds the plan if it was accepted.
"""

from __future__ import annotations

from abc import abstractmethod

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui.pages import PageContext
from kafka_client.commands.plan import Plan
from kafka_client.errors import ClientError
from widgets.page_state import Banner
from widgets.plain import plain, set_title


class PlanForm(QDialog):
    """Subclasses fill ``body``, or call ``add_row``, and implement ``make_plan``.

    The first field has the focus: a person types at once. ``ready`` says whether there is enough
    to make a plan; as long as there is not, nothing is called wrong.
    """

    def __init__(
        self,
        context: PageContext,
        title: str,
        parent: QWidget,
        *,
        button: str = "Review…",
        width: int = 480,
    ) -> None:
        super().__init__(parent.window())
        self.context = context
        self.plan: Plan | None = None
        set_title(self, title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(width)
        self.banner = Banner(context.theme, self)
        self.review = QPushButton(button, self)
        self.review.setProperty("role", "primary")
        self.review.setDefault(True)
        self.review.clicked.connect(self._review)
        cancel = QPushButton("Cancel", self)
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self.form = QFormLayout()
        self.form.setHorizontalSpacing(16)
        self.form.setVerticalSpacing(10)
        self.body = QVBoxLayout()
        self.body.setSpacing(12)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.review)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(plain(title, self, role="heading", wrap=True))
        layout.addLayout(self.form)
        layout.addLayout(self.body)
        layout.addWidget(self.banner)
        layout.addStretch(1)
        layout.addLayout(buttons)

    def add_row(self, title: str, field: QWidget) -> None:
        self.form.addRow(plain(title, self, role="muted"), field)
        if self.form.rowCount() == 1:
            field.setFocus(Qt.FocusReason.OtherFocusReason)

    @abstractmethod
    def make_plan(self) -> Plan:
        """The plan that the fields describe. Raises: BadInput."""

    def ready(self) -> bool:
        return True

    def check(self) -> None:
        """Show what is wrong while the person types."""
        problem = ""
        if self.ready():
            try:
                self.make_plan()
            except ClientError as error:
                problem = str(error)
        self.banner.show_message(problem, "bad")
        self.review.setEnabled(self.ready() and not problem)

    def _review(self) -> None:
        try:
            self.plan = self.make_plan()
        except ClientError as error:
            self.banner.show_message(str(error), "bad")
        else:
            self.accept()
