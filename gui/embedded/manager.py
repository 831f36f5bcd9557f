"""Starts clusters of our own from templates or from what an earlier run left, with their traffic,
and stops them in order at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from gui import confirm
from gui.embedded import stored
from gui.embedded.cluster import EmbeddedControl
from gui.embedded.demo_traffic import DemoTraffic
from gui.embedded.stored import TEMPLATES, Leftover, Template
from gui.main_window import MainWindow
from gui.open_clusters import Clusters
from gui.session import Session
from kafka_client.profile import ConnectionProfile
from widgets import figures


class LocalControl(QObject):
    changed = Signal()

    def __init__(
        self, clusters: Clusters, window: MainWindow, root: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._clusters, self._window, self._root = clusters, window, root
        self._earlier_roots: tuple[Path, ...] = ()
        self._open: dict[Path, EmbeddedControl] = {}
        self._templates: dict[Path, Template] = {}

    @property
    def leftovers(self) -> list[Leftover]:
        roots = dict.fromkeys((self._root, *self._earlier_roots))
        stored_clusters = [held for root in roots for held in stored.leftovers(root)]
        stored_clusters.sort(key=lambda held: -held.used_s)
        return [held for held in stored_clusters if held.directory not in self._open]

    @property
    def root(self) -> Path:
        """The folder that new clusters get theirs in."""
        return self._root

    def use_root(self, root: Path, earlier: Iterable[Path]) -> None:
        """Make new clusters in ``root``; go on listing those in ``earlier``."""
        self._root, self._earlier_roots = root, tuple(earlier)
        self.changed.emit()

    # ---- starting

    def start_template(self, name: str, again: bool = False) -> None:
        """A new cluster from a template; with ``again``, the newest one of that template that an
        earlier run left."""
        template = TEMPLATES[name]
        if again:
            for held in self.leftovers:
                if held.template == name:
                    self.start_leftover(held)
                    return
        try:
            directory, title = stored.new_directory(self._root, template)
        except OSError as error:
            self._say_failed(
                f"No folder for its data could be made in {self._root}: {error.strerror or error}."
            )
            return
        self._start(template, directory, title)

    def start_leftover(self, leftover: Leftover) -> None:
        template = TEMPLATES.get(leftover.template)
        if template is None:
            self._say_failed(f"This version has no template “{leftover.template}”.")
            return
        stored.touch(leftover.directory)
        self._start(template, leftover.directory, leftover.title)

    def _start(self, template: Template, directory: Path, title: str) -> None:
        from gui.embedded.launch import Looker, maker

        control = EmbeddedControl(title, maker(template, directory), Looker(), self)
        self._open[directory] = control
        self._templates[directory] = template
        self._show_busy(template, f"Starting {figures.plural(template.brokers, 'broker')}…")
        control.running.connect(
            lambda servers: self._running(template, directory, control, servers)
        )
        control.failed.connect(lambda why: self._failed(template, directory, why))
        control.start()
        self.changed.emit()

    def _running(
        self, template: Template, directory: Path, control: EmbeddedControl, servers: str
    ) -> None:
        self._show_busy(template, "")
        if template.scenario:
            control.traffic = DemoTraffic(servers, template.scenario, control)
            control.traffic.start()
        profile = ConnectionProfile(control.name, tuple(servers.split(",")))
        self._clusters.open_profile(
            profile, embedded=control, history_path=directory / "history.sqlite"
        )

    def _failed(self, template: Template, directory: Path, why: str) -> None:
        self._show_busy(template, "")
        self._open.pop(directory, None)
        self._say_failed(f"The cluster did not start: {why}")
        self.changed.emit()

    def _show_busy(self, template: Template, sentence: str) -> None:
        welcome = self._window.welcome
        choice = getattr(welcome, "demo" if template.scenario else "empty", None)
        if choice is not None:
            choice.show_busy(sentence)

    def _say_failed(self, sentence: str) -> None:
        trouble = getattr(self._window.welcome, "trouble", None)
        if trouble is not None and self._clusters.shown is None:
            trouble.show_message(sentence, "bad")
        else:
            self._window.notify(sentence, "bad")

    # ---- stopping

    def close_session(self, session: Session) -> None:
        """Close one cluster of the window; one of our own is stopped in order."""
        control = session.embedded
        if control is not None:
            if control.traffic is not None:
                control.traffic.stop()
            control.stopped.connect(lambda: self._is_stopped(control))
            control.stop()
        self._clusters.close_session(session)

    def _is_stopped(self, control: EmbeddedControl) -> None:
        self._open = {path: held for path, held in self._open.items() if held is not control}
        self.changed.emit()

    def remove(self, leftover: Leftover) -> None:
        def agreed() -> None:
            try:
                stored.remove(leftover.directory)
            except (OSError, ValueError) as error:
                self._say_failed(f"Its data could not be removed: {error}")
            self.changed.emit()

        confirm.ask(
            self._window.theme,
            self._window,
            title=f"Remove {leftover.title}?",
            sentences=f"{figures.size(leftover.size_bytes)} of records and settings are deleted: {leftover.directory}",
            button="Remove",
            agreed=agreed,
        )

    def ask_to_stop(self, agreed: Callable[[], None]) -> None:
        """Ask before closing when programs other than this one are connected to a cluster of
        ours."""
        running = [control for control in self._open.values() if control.state == "running"]
        counts: list[int] = []

        def counted(strangers: int) -> None:
            counts.append(strangers)
            if len(counts) == len(running):
                self._ask_about(sum(counts), agreed)

        if not running:
            agreed()
        for control in running:
            control.count_strangers(counted)

    def _ask_about(self, strangers: int, agreed: Callable[[], None]) -> None:
        if not strangers:
            agreed()
            return
        confirm.ask(
            self._window.theme,
            self._window,
            title="Stop the clusters of this window?",
            sentences=f"{figures.plural(strangers, 'connection')} of other programs would be cut. The data stays and "
            "is offered again at the next start.",
            button="Stop and close",
            agreed=agreed,
        )

    def stop_all(self, ended: Callable[[], None]) -> None:
        """Stop traffic, then every cluster in order; ``ended`` when all are."""
        waiting: list[QObject] = []
        for control in self._open.values():
            if control.traffic is not None and control.traffic.running:
                waiting.append(control.traffic)
            if control.state in ("running", "stopping"):
                waiting.append(control)
        left = len(waiting)
        if not left:
            ended()
            return
        self._window.setEnabled(False)
        self._window.notify("Stopping the clusters of this window in order…", "accent")

        def one_stopped() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                ended()

        for thing in waiting:
            thing.stopped.connect(one_stopped)  # type: ignore[attr-defined]
            thing.stop()  # type: ignore[attr-defined]
