"""What every test gets: no screen, nobody's preferences or secrets touched, and `async def` tests
and fixtures.

A test that uses `qapp` (or `qtbot`) runs on the window's asyncio loop: a coroutine is stepped while
Qt's loop spins, and a plain function that spins it (`qtbot.waitUntil`) steps coroutines too. Every
other coroutine runs on one plain asyncio loop that lasts the session. A test that leaves tasks
running on either fails.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gui.event_loop import AttachedLoop

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
_HOME = tempfile.TemporaryDirectory(prefix="kafkarium-tests-")
for _name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = str(Path(_HOME.name, _name.lower()))

HEARTBEAT_MS = 100
FOLDER_MARKS = ("integration", "simulation", "performance")
_plain_loop: asyncio.AbstractEventLoop | None = None
_window_loop: AttachedLoop | None = None


def plain_loop() -> asyncio.AbstractEventLoop:
    global _plain_loop
    if _plain_loop is None:
        _plain_loop = asyncio.new_event_loop()
    return _plain_loop


def window_loop() -> AttachedLoop:
    from PySide6.QtWidgets import QApplication

    from gui.event_loop import AttachedLoop

    global _window_loop
    if _window_loop is None:
        qt = QApplication.instance() or QApplication(["tests"])
        assert isinstance(qt, QApplication)
        qt.setQuitOnLastWindowClosed(False)
        _window_loop = AttachedLoop(qt)
    return _window_loop


def pytest_sessionfinish() -> None:
    if _plain_loop is not None:
        _plain_loop.run_until_complete(_plain_loop.shutdown_asyncgens())
        _plain_loop.run_until_complete(_plain_loop.shutdown_default_executor())
        _plain_loop.close()
    if _window_loop is not None:
        _window_loop.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in tests/integration carries the mark `integration`, and so on."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in FOLDER_MARKS:
            item.add_marker(folder)


def run(coroutine: Awaitable[Any]) -> Any:
    """Run it to its end on the loop of the current test."""
    if _window_loop is None or not _window_loop.is_running():
        return plain_loop().run_until_complete(coroutine)
    from PySide6.QtCore import QEventLoop, QTimer

    task = asyncio.ensure_future(coroutine, loop=_window_loop)
    spinner, heartbeat = QEventLoop(), QTimer()
    interrupts: list[BaseException] = []

    def beat() -> None:
        """Python runs signal handlers, that of the timeout too, only while it runs itself."""
        try:
            time.monotonic()
        except BaseException as interrupt:
            interrupts.append(interrupt)
            task.cancel()

    heartbeat.timeout.connect(beat)
    heartbeat.start(HEARTBEAT_MS)
    task.add_done_callback(lambda _: spinner.quit())
    spinner.exec()
    heartbeat.stop()
    for interrupt in interrupts:
        raise interrupt
    return task.result()


async def _leaving_nothing_behind(coroutine: Coroutine[Any, Any, None]) -> None:
    before = asyncio.all_tasks()
    try:
        await coroutine
    finally:
        await asyncio.sleep(0)  # a task that was cancelled ends on the next turn of the loop
        left = asyncio.all_tasks() - before
        names = [str(task.get_coro()) for task in left]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    if names:
        pytest.fail(f"the test left tasks running: {', '.join(names)}", pytrace=False)


def _window_tasks_left(loop: AttachedLoop) -> list[str]:
    """Names of the tasks that still run after a test and its fixtures; cancelled ones get the
    turns of the loop that they need to end."""
    from PySide6.QtCore import QEventLoop

    spinner = QEventLoop()
    for _ in range(20):
        if not asyncio.all_tasks(loop):
            return []
        spinner.processEvents()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    spinner.processEvents()
    return [str(task.get_coro()) for task in left]


_DONE = object()


class Coroutines:
    """Registered as a plugin: a conftest's own hooks are not asked about fixtures of the whole
    session."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        if "qapp" in getattr(item, "fixturenames", ()):
            window_loop().enter()
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        try:
            yield
        finally:
            loop = _window_loop
            if loop is not None and loop.is_running():
                left = _window_tasks_left(loop)
                loop.leave()
                if left:
                    names = ", ".join(left)
                    pytest.fail(f"the test left tasks running: {names}", pytrace=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        on_window = _window_loop is not None and _window_loop.is_running()
        run(test if on_window else _leaving_nothing_behind(test))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> None:
        """An `async def` fixture, with or without a yield, is driven from here as an ordinary
        one."""
        make: Callable[..., Any] = fixturedef.func
        if inspect.isasyncgenfunction(make):

            def stepped(**arguments: Any) -> Iterator[Any]:
                steps: AsyncGenerator[Any, None] = make(**arguments)
                yield run(anext(steps))
                assert run(anext(steps, _DONE)) is _DONE, "a fixture yields once"

            fixturedef.func = stepped  # type: ignore[misc]
        elif inspect.iscoroutinefunction(make):
            fixturedef.func = lambda **arguments: run(make(**arguments))  # type: ignore[misc]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Coroutines())
