"""``kafkarium tour --out DIR``: drives the real window offscreen over a live cluster and writes a
picture of every page in the dark and the light theme. It fails when a page shows an error, or has
not loaded in time."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtWidgets import QApplication, QWidget

from gui.app import Application
from gui.event_loop import window_loop
from gui.navigation import (
    ConfigurationTarget,
    GroupTarget,
    MessagesTarget,
    PageTarget,
    ProduceTarget,
    ResetTarget,
    Target,
    TopicTarget,
    page_of,
)
from gui.pages import PAGES
from gui.session import Session
from gui.tasks import after
from kafka_client.errors import BadInput
from kafka_client.model import ConfigResource
from kafka_client.profile import quick
from kafka_client.sampling.state import ConnectionKind
from kafka_client.secrets import MemorySecrets
from resources.outgoing import complain, say
from resources.wording import counted
from widgets.charts.chart_panel import ChartPanel
from widgets.page_state import PageState

SIZE = (1440, 900)
READY_S = 60.0
PAGE_S = 20.0
TRAFFIC_S = 25.0
"""how long the charts fill before the first picture"""
SETTLE_S = 1.2
ZOOM_S = 20.0
"""span of the zoomed chart"""


class TourFailed(Exception):
    """The tour cannot go on; the text is a sentence for the person."""


class Tour:
    def __init__(
        self, application: Application, out: Path, themes: Sequence[str], fill_s: float
    ) -> None:
        self._app, self._out, self._themes, self._fill_s = application, out, themes, fill_s
        self.window = application.window
        self.problems: list[str] = []
        self.written: list[Path] = []

    async def wait(self, seconds: float) -> None:
        await after(round(seconds * 1000))

    async def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TourFailed(f"{what} did not come within {seconds:g} s.")
            await self.wait(0.1)

    # ---- the way

    async def run(self, bootstrap: str) -> None:
        window = self.window
        window.resize(*SIZE)
        window.show()
        await self.wait(0.3)
        await self.picture("welcome")
        session = await self._open(bootstrap)
        await self.until(lambda: session.loaded, READY_S, "The first look at the cluster")
        if not bootstrap:
            await self.until(self._something_moves, READY_S, "A consumer group and its lag")
        await self.wait(self._fill_s)
        for page in PAGES:
            await self._page(PageTarget(page.name))
        topic, group = self._subjects(session)
        if topic:
            configuration = ConfigurationTarget(ConfigResource("topic", topic))
            await self._page(TopicTarget(topic), "one-topic")
            await self._page(MessagesTarget(topic), "messages-topic")
            await self._page(ProduceTarget(topic), "produce")
            await self._page(configuration, "configuration-topic")
        if group:
            await self._page(GroupTarget(group), "one-group")
            await self._chart(page_of(GroupTarget(group)))
            await self._dialog("reset", ResetTarget(group))
        await self._palette(topic)
        await self._application_dialogs()

    async def _open(self, bootstrap: str) -> Session:
        if bootstrap:
            return self._app.clusters.open_profile(quick(bootstrap), remember=False)
        self._app.actions.start_template("notifications")
        trouble = self._app.welcome.trouble
        await self.until(
            lambda: self._app.clusters.shown is not None or trouble.isVisible(),
            READY_S,
            "The demo cluster",
        )
        if self._app.clusters.shown is None:
            raise TourFailed(trouble.sentence)
        return self._app.clusters.shown

    def _something_moves(self) -> bool:
        session = self._app.clusters.shown
        return session is not None and any(
            g.lag_records is not None for g in session.snapshot.groups.values()
        )

    def _subjects(self, session: Session) -> tuple[str, str]:
        """The busiest topic and the group that is furthest behind."""
        topics = [t for t in session.snapshot.topics.values() if not t.internal]
        topics.sort(key=lambda t: -sum(p.offset_span or 0 for p in t.partitions))
        groups = sorted(session.snapshot.groups.values(), key=lambda g: -(g.lag_records or 0))
        return (topics[0].name if topics else ""), (groups[0].group_id if groups else "")

    async def _page(self, target: Target, picture: str = "") -> None:
        page = page_of(target)
        self.window.navigate(target)
        await self._settle(page, picture or page)
        await self.picture(picture or page)

    async def _settle(self, page: str, name: str) -> None:
        view = self.window.view
        widget = view.widget_of(page) if view is not None else None
        if widget is None:
            raise TourFailed(f"The page {page} was not made.")
        try:
            await self.until(
                lambda: not self._states(widget, "loading"), PAGE_S, f"The page {name}"
            )
        except TourFailed as late:
            self.problems.append(str(late))
        await self.wait(SETTLE_S)
        if self._states(widget, "failed"):
            self.problems.append(f"The page {name} shows an error: {self._sentence(widget)}")

    def _states(self, widget: QWidget, state: str) -> bool:
        parts = [widget, *widget.findChildren(PageState)]
        return any(isinstance(p, PageState) and p.state == state and p.isVisible() for p in parts)

    def _sentence(self, widget: QWidget) -> str:
        for part in widget.findChildren(PageState):
            if part.state == "failed" and part.isVisible():
                return part.sentence
        return ""

    async def _chart(self, page: str) -> None:
        """The charts of a page zoomed into the recent past, with their crosshair; then the first
        of them as the files that a person can export."""
        view = self.window.view
        widget = view.widget_of(page) if view is not None else None
        panels = [p for p in widget.findChildren(ChartPanel) if p.isVisible()] if widget else []
        if not panels:
            self.problems.append(f"The page {page} shows no chart.")
            return
        group, now_s = panels[0].group, self._app.clock.now_s
        group.show_span(now_s - ZOOM_S, now_s - SETTLE_S)
        group.point_at(now_s - ZOOM_S / 2)
        await self.picture("chart-zoomed")
        for ending in ("png", "svg", "csv"):
            path = self._out / f"chart-exported.{ending}"
            if panels[0].export(path):
                self.written.append(path)
            else:
                self.problems.append(f"{path} was not written.")
        group.point_at(None)
        group.follow()

    async def _dialog(self, picture: str, target: Target) -> None:
        """A dialog that a page opens; in the picture it is over the window, as on a screen."""
        self.window.navigate(target)
        await self.wait(SETTLE_S * 2)
        await self.picture(picture)
        await self._close_dialogs()

    async def _close_dialogs(self) -> None:
        for widget in QApplication.topLevelWidgets():
            if widget is not self.window and widget.isVisible() and widget.isWindow():
                widget.close()
        await self.wait(0.2)

    async def _palette(self, topic: str) -> None:
        box = self.window.palette_box
        self.window.navigate(PageTarget("overview"))
        for theme in self._themes:
            self._app.theme_controller.choose(theme)
            box.open_palette()
            box.box.setText((topic or "o")[:2])
            await self.wait(0.4)
            self._grab(f"palette-{theme}")
            box.close_palette()

    async def _application_dialogs(self) -> None:
        app = self._app
        for picture, show in (
            ("connect", app.open_connect_dialog),
            ("preferences", app.open_preferences),
            ("about", app.open_about),
        ):
            show()
            await self.wait(0.4)
            await self.picture(picture)
            await self._close_dialogs()

    # ---- pictures

    async def picture(self, name: str) -> None:
        for theme in self._themes:
            self._app.theme_controller.choose(theme)
            await self.wait(0.5)
            self._grab(f"{name}-{theme}")

    def _grab(self, name: str) -> None:
        picture = self.window.grab()
        from PySide6.QtGui import QPainter

        painter = QPainter(picture)
        for widget in QApplication.topLevelWidgets():
            if widget is not self.window and widget.isVisible() and widget.isWindow():
                room = self.window.rect().center() - widget.rect().center()
                painter.fillRect(self.window.rect(), self._app.theme.shade())
                painter.drawPixmap(room, widget.grab())
        painter.end()
        path = self._out / f"{name}.png"
        if not picture.save(str(path)):
            raise TourFailed(f"{path} could not be written.")
        self.written.append(path)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="kafkarium tour", description="A picture of every page over a live cluster."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument(
        "--bootstrap",
        default="",
        metavar="HOST:PORT",
        help="a cluster to visit; else a demo of its own",
    )
    parser.add_argument("--themes", default="dark,light", help="dark, light or both")
    parser.add_argument(
        "--fill", type=float, default=TRAFFIC_S, metavar="S", help="seconds for the charts to fill"
    )
    return parser.parse_args(list(arguments))


def main(arguments: Sequence[str]) -> int:
    """Return 0 when every picture was written and no page showed an error."""
    wanted = _arguments(arguments)
    themes = [theme for theme in wanted.themes.split(",") if theme in ("dark", "light")]
    try:
        wanted.out.mkdir(parents=True, exist_ok=True)
        if wanted.bootstrap:
            quick(wanted.bootstrap)
    except (OSError, BadInput) as error:
        complain(f"kafkarium tour: {error}")
        return 2
    if not themes:
        complain("kafkarium tour: --themes takes dark, light or dark,light")
        return 2
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory(prefix="kafkarium-tour-") as home:
        return _visit(wanted, themes, Path(home))


def _visit(wanted: argparse.Namespace, themes: Sequence[str], home: Path) -> int:
    existing = QApplication.instance()
    qt = existing if isinstance(existing, QApplication) else QApplication(["kafkarium"])
    with window_loop(qt) as loop:
        return loop.run_until_complete(_drive(qt, wanted, themes, home))


async def _drive(
    qt: QApplication, wanted: argparse.Namespace, themes: Sequence[str], home: Path
) -> int:
    application = Application(
        qt,
        settings_path=home / "preferences.json",
        clusters_root=home / "clusters",
        secrets=MemorySecrets(),
    )
    tour = Tour(application, wanted.out, themes, wanted.fill)
    try:
        await tour.run(wanted.bootstrap)
        session = application.clusters.shown
        if session is not None and session.state.kind is ConnectionKind.LOST:
            tour.problems.append(f"The cluster was lost: {session.state.sentence}")
    except TourFailed as failure:
        tour.problems.append(str(failure))
    finally:
        await application.end()
    for problem in tour.problems:
        complain(f"kafkarium tour: {problem}")
    say(f"{counted(len(tour.written), 'file')} in {wanted.out}")
    return 1 if tour.problems else 0
