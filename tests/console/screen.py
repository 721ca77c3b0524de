"""One tab of the console: what it shows, and what went wrong in it."""

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

# A picture of a whole page costs a second of processor time, and no test looks at it.
WITH_PICTURES = os.environ.get("CONSOLE_PICTURES") == "1"
AXE = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"

LATE = ("STORE_UNAVAILABLE", "PEER_UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT")
"""Reasons of a refusal by a stack whose parts all run."""


class Screen:
    """A tab. ``faults`` has what a developer's console would show as an error."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.foreign: list[str] = []
        self.requests: list[Request] = []
        page.on("console", self._message)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)

    def _message(self, message: ConsoleMessage) -> None:
        # The browser itself notes each answer above 400; the tests look at those on the page.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(self.url):
            self.foreign.append(request.url)

    def go(self, view: str) -> None:
        """Open a view, and wait until nothing in it is being read for the first time."""
        self.page.goto(f"{self.url}/#/{view}")
        expect(self.page.locator("nav a[aria-current=page]").first).to_be_visible()
        expect(self.page.get_by_text("Reading…")).to_have_count(0)

    def resize(self, width: int) -> None:
        """Give the tab another width, and wait until the page fits in it: charts take a frame."""
        self.page.set_viewport_size({"width": width, "height": 844})
        fits = "width => document.documentElement.scrollWidth <= width"
        self.page.wait_for_function(fits, arg=width)

    def take_picture(self, path: Path) -> None:
        """A screenshot of the whole page, with ``CONSOLE_PICTURES=1`` alone."""
        if WITH_PICTURES:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=path, full_page=True)

    def use_key(self, key: str, *, keep: bool = False) -> None:
        """Enter a key."""
        self.page.get_by_role("button", name="No key").click()
        self.dialog.get_by_label("Key (after make run").fill(key)
        if keep:
            self.dialog.get_by_label("Survive a reload").check()
        self.dialog.get_by_role("button", name="Use this key").click()
        expect(self.page.get_by_role("button", name="Key set")).to_be_visible()

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    def send(self, button: Locator, done: str) -> None:
        """Click what sends an action until it is done; a machine that stalls makes a part late."""
        for _ in range(3):
            button.click()
            either = re.compile("|".join((re.escape(done), *LATE)))
            expect(self.dialog).to_contain_text(either, timeout=60_000)
            if done in self.dialog.inner_text():
                return
        expect(self.dialog).to_contain_text(done)

    @property
    def focused(self) -> str:
        """The text of what has the focus."""
        return str(self.page.evaluate("document.activeElement.textContent"))

    def reads(self, path: str) -> int:
        """How often a path was read so far."""
        paths = [urlsplit(r.url).path for r in self.requests if r.method == "GET"]
        return paths.count(path)

    def settle(self) -> int:
        """Wait until no request has been sent for a second; how many were sent so far."""
        before = -1
        for _ in range(30):
            if len(self.requests) == before:
                break
            before = len(self.requests)
            self.page.wait_for_timeout(1000)
        return before

    def reads_more(self, path: str, than: int) -> bool:
        """Wait until a path has been read more often; False if it has not within 30 s."""
        for _ in range(300):
            if self.reads(path) > than:
                return True
            self.page.wait_for_timeout(100)
        return False

    def writes(self) -> list[str]:
        """Paths of the writes that were sent."""
        return [r.url.removeprefix(self.url) for r in self.requests if r.method == "POST"]


def violations(screen: Screen) -> list[str]:
    """What axe-core objects to, with the elements."""
    if not screen.page.evaluate("'axe' in window"):
        screen.page.evaluate(f"() => {{ {AXE.read_text()} }}")
    tags = json.dumps(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
    found = screen.page.evaluate(f"axe.run({{runOnly: {tags}}})")
    return [f"{v['id']}: {[node['html'] for node in v['nodes'][:3]]}" for v in found["violations"]]
