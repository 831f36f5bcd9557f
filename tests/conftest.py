"""What every test gets: no screen, nobody's settings or secrets touched, and `async def` tests
and fixtures.

A coroutine runs on one asyncio loop that lasts the session; a test that leaves tasks running
there fails.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
_HOME = tempfile.TemporaryDirectory(prefix="kafkarium-tests-")
for _name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = str(Path(_HOME.name, _name.lower()))

FOLDER_MARKS = ("integration", "simulation", "performance")
_loop: asyncio.AbstractEventLoop | None = None


def session_loop() -> asyncio.AbstractEventLoop:
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
    return _loop


def pytest_sessionfinish() -> None:
    if _loop is not None:
        _loop.run_until_complete(_loop.shutdown_asyncgens())
        _loop.run_until_complete(_loop.shutdown_default_executor())
        _loop.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in tests/integration carries the mark `integration`, and so on."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in FOLDER_MARKS:
            item.add_marker(folder)


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


_DONE = object()


class Coroutines:
    """Registered as a plugin: a conftest's own hooks are not asked about fixtures of the whole
    session."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        loop = session_loop()
        test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        loop.run_until_complete(_leaving_nothing_behind(test))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> None:
        """An `async def` fixture, with or without a yield, is driven from here as an ordinary
        one."""
        make: Callable[..., Any] = fixturedef.func
        loop = session_loop
        if inspect.isasyncgenfunction(make):

            def stepped(**arguments: Any) -> Iterator[Any]:
                steps: AsyncGenerator[Any, None] = make(**arguments)
                yield loop().run_until_complete(anext(steps))
                assert loop().run_until_complete(anext(steps, _DONE)) is _DONE, (
                    "a fixture yields once"
                )

            fixturedef.func = stepped  # type: ignore[misc]
        elif inspect.iscoroutinefunction(make):
            fixturedef.func = lambda **arguments: loop().run_until_complete(make(**arguments))  # type: ignore[misc]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Coroutines())
