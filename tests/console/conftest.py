"""The console as a user opens it: a real stack with the paper broker, and the system's Chromium."""

import fcntl
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.console import canned_answers
from tests.console.canned import CannedStack
from tests.console.chromium import OPTIONS
from tests.console.screen import Screen
from tests.e2e.conftest import Stack

expect.set_options(timeout=30_000)
"""A condition that holds ends the wait at once; a machine that stalls does not end it."""

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "console"
BUILD_PYTHON = str(ROOT / ".venv-build" / "bin" / "python")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def console_make(folder: Path = CONSOLE) -> ModuleType:
    """``console/make.py``, which is a script, of a checkout."""
    spec = importlib.util.spec_from_file_location("console_make", folder / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def built() -> Path:
    """The built console; the first of the test processes builds it, and the others wait."""
    make = console_make()
    with (Path(sys.prefix) / "console-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            make.build(BUILD_PYTHON)
            make.install(BUILD_PYTHON, everything=True)  # axe-core
        except make.ConsoleError as error:
            pytest.skip(f"THE CONSOLE CAN'T BE BUILT HERE: {error}")
    return Path(make.DIST)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, for this suite alone: its loop would stop later async tests."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("CHROMIUM IS NOT INSTALLED (Debian: chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def desk(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the whole suite."""
    running = Stack(tmp_path_factory.mktemp("console") / "run", "--console", str(built))
    running.start(EDGE_READ_LIMIT="10000", EDGE_WRITE_LIMIT="1000")
    running.wait_until_warm()
    yield running
    running.stop()


@pytest.fixture
def stack(desk: Stack) -> Stack:
    """The stack with its kill switch released, whatever the test before did."""
    desk.release()
    return desk


@contextmanager
def screens(
    browser: Browser, url: str, at_ms: int | None = None
) -> Iterator[Callable[..., Screen]]:
    """Opens views, each in a browser profile of its own; at the end, none may have had an error.

    Args:
        url: the stack's address.
        at_ms: what the page's clock begins at; the machine's clock if unset.
    """
    contexts: list[BrowserContext] = []
    opened: list[Screen] = []

    def opening(view: str = "overview", *, width: int = 1280, scheme: str = "light") -> Screen:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page: Page = context.new_page()
        if at_ms is not None:
            page.clock.install(time=datetime.fromtimestamp(at_ms / 1000, UTC))
        screen = Screen(page, url)
        opened.append(screen)
        screen.go(view)
        return screen

    yield opening
    for context in contexts:
        context.close()
    for screen in opened:
        assert screen.faults == []
        assert screen.foreign == []


@pytest.fixture
def open_tab(browser: Browser, stack: Stack) -> Iterator[Callable[..., Screen]]:
    """Opens a tab on the real stack."""
    with screens(browser, stack.url) as opening:
        yield opening


@pytest.fixture
def key(stack: Stack) -> str:
    """The write key."""
    return (stack.run_dir / "keys" / "write").read_text().strip()


@pytest.fixture
def canned(built: Path) -> Iterator[CannedStack]:
    stack = CannedStack(
        built,
        canned_answers.answers(),
        events=canned_answers.events(),
        files=canned_answers.files(),
    )
    stack.happened = canned_answers.happened()
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def look(browser: Browser, canned: CannedStack) -> Iterator[Callable[..., Screen]]:
    """Opens a view on the canned stack at its time."""
    with screens(browser, canned.url, canned_answers.NOW_MS) as opening:
        yield opening
