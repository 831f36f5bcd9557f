"""The status bar: age of the samples, round trip, memory and processor time of embedded brokers,
running jobs, and optionally the longest stall of the window's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.jobs import Job, JobState
from gui.watchdog import Watchdog
from resources.wording import counted
from widgets import figures
from widgets.plain import ElidedLabel, plain, set_role
from widgets.theme import Theme

if TYPE_CHECKING:
    from gui.session import Session

JOBS_SHOWN = 8
STALE_AFTER_S = 6.0


class StatusBar(QWidget):
    def __init__(self, theme: Theme, watchdog: Watchdog, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._watchdog = watchdog
        self._session: Session | None = None
        self.setProperty("role", "status")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(28)
        self._age = plain("", self)
        self._trip = plain("", self)
        self._brokers = plain("", self)
        self._state = ElidedLabel("", self)
        self._jobs = QPushButton("No jobs", self)
        self._jobs.setProperty("role", "quiet")
        self._jobs.clicked.connect(self.open_jobs)
        self._stalls = QPushButton("", self)
        self._stalls.setProperty("role", "quiet")
        self._stalls.setToolTip("Longest stall of the window's thread; click to reset")
        self._stalls.clicked.connect(watchdog.reset)
        self._stalls.hide()
        self.jobs_list = JobsList(theme, self.window())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 0, 16, 0)
        layout.setSpacing(16)
        for label in (self._age, self._trip, self._brokers):
            layout.addWidget(label)
        layout.addWidget(self._state, 1)
        layout.addWidget(self._stalls)
        layout.addWidget(self._jobs)
        self._ticking = QTimer(self)
        self._ticking.setInterval(200)
        self._ticking.timeout.connect(self.tick)
        self._ticking.start()

    def show_session(self, session: Session | None) -> None:
        self._session = session
        self.jobs_list.show_session(session)
        self.tick()

    def show_debug(self, shown: bool) -> None:
        self._stalls.setVisible(shown)
        if shown:
            self._watchdog.start()

    @property
    def debug_shown(self) -> bool:
        return not self._stalls.isHidden()

    def tick(self) -> None:
        session = self._session
        if session is None:
            for label in (self._age, self._trip, self._brokers):
                label.hide()
            self._state.show_text("No cluster connected")
            self._jobs.hide()
            return
        from gui.health import sample_age_s
        from kafka_client.sampling.state import ConnectionKind
        from kafka_client.steady import steady_s

        snapshot = session.snapshot
        age = sample_age_s(snapshot, steady_s())
        _set_text(
            self._age,
            "paused"
            if session.paused
            else ""
            if age is None
            else f"sampled {max(age, 0):.1f} s ago",
        )
        set_role(self._age, "warn" if age is not None and age > STALE_AFTER_S else "", "tone")
        trips = [
            (b.round_trip_ms, i) for i, b in snapshot.brokers.items() if b.round_trip_ms is not None
        ]
        _set_text(self._trip, f"{min(trips)[0]:.0f} ms to broker {min(trips)[1]}" if trips else "")
        _set_text(self._brokers, self._embedded_words(session))
        shown = "" if session.state.kind is ConnectionKind.CONNECTED else session.state.sentence
        if self._state.text() != shown:
            self._state.show_text(shown)
        running = sum(job.state is JobState.RUNNING for job in session.jobs.values())
        _set_text(
            self._jobs,
            "" if not session.jobs else counted(running, "job") if running else "No jobs",
        )
        if self.debug_shown:
            self._stalls.setText(f"longest stall {self._watchdog.longest_ms:.0f} ms")

    def _embedded_words(self, session: Session) -> str:
        embedded = session.embedded
        if embedded is None:
            return ""
        alive = [b for b in embedded.brokers.values() if b.rss_bytes]
        memory = sum(b.rss_bytes or 0 for b in alive)
        cpu = sum(b.cpu_share or 0.0 for b in alive)
        return (
            f"{counted(len(alive), 'broker')}, {figures.size(memory)}, {cpu * 100:.0f} % CPU"
            if alive
            else ""
        )

    def open_jobs(self) -> None:
        self.jobs_list.refresh()
        self.jobs_list.adjustSize()
        corner = self._jobs.mapToGlobal(QPoint(self._jobs.width(), 0))
        self.jobs_list.move(
            corner.x() - self.jobs_list.width(), corner.y() - self.jobs_list.height() - 8
        )
        self.jobs_list.show()


def _set_text(label: QLabel | QPushButton, words: str) -> None:
    if label.text() != words:
        label.setText(words)
    label.setVisible(bool(words))


class JobsList(QFrame):
    """Running and finished jobs, newest first; running ones can be cancelled."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._theme = theme
        self._session: Session | None = None
        self._rows: dict[int, _JobRow] = {}
        self.setProperty("role", "toast")
        self.setFixedWidth(400)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(16, 12, 16, 12)
        self._column.setSpacing(12)
        self._column.addWidget(plain("Jobs", self, role="strong"))

    def show_session(self, session: Session | None) -> None:
        if self._session is not None:
            self._session.job_changed.disconnect(self._changed)
        self._session = session
        for row in self._rows.values():
            row.deleteLater()
        self._rows.clear()
        if session is not None:
            session.job_changed.connect(self._changed)

    def _changed(self, job: Job) -> None:
        if self.isVisible():
            self.refresh()

    def refresh(self) -> None:
        if self._session is None:
            return
        jobs = sorted(self._session.jobs.values(), key=lambda j: -j.id)[:JOBS_SHOWN]
        for gone in set(self._rows) - {job.id for job in jobs}:
            self._rows.pop(gone).deleteLater()
        for place, job in enumerate(jobs):
            row = self._rows.get(job.id)
            if row is None:
                row = _JobRow(self._theme, job.id, self._session, self)
                self._rows[job.id] = row
                self._column.insertWidget(1 + place, row)
            row.show_job(job)


class _JobRow(QWidget):
    def __init__(self, theme: Theme, job_id: int, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._title = ElidedLabel("", self)
        self._sentence = plain("", self, role="small", wrap=True)
        self._bar = QProgressBar(self)
        self._cancel = QToolButton(self)
        self._cancel.setIcon(theme.icon("close"))
        self._cancel.setToolTip("Cancel")
        self._cancel.setAccessibleName("Cancel the job")
        self._cancel.clicked.connect(lambda: session.cancel_job(job_id))
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addWidget(self._sentence)

    def show_job(self, job: Job) -> None:
        self._title.show_text(job.title)
        running = job.state is JobState.RUNNING
        self._cancel.setVisible(running)
        self._bar.setVisible(running)
        self._bar.setRange(0, 0 if job.progress is None else 100)
        if job.progress is not None:
            self._bar.setValue(round(job.progress * 100))
        self._sentence.setText(job.sentence)
        set_role(self._sentence, "bad" if job.state is JobState.FAILED else "", "tone")
