"""Every view: what it shows, in both themes and widths, to everyone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.console.screen import Screen, violations
from tests.e2e.conftest import Stack

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "console" / "live"
VIEWS = {
    "overview": "Risk limits",
    "why": "Checks",
    "why/EUR_JPY": "Every check",
    "instrument/EUR_USD": "Metrics and thresholds",
    "decisions": "Decisions",
    "positions": "Trades and their brackets",
    "results": "What a day earned and cost",
    "research": "Parameters in force",
    "system": "Leases",
}
LOOKS: list[tuple[Literal["light", "dark"], int]] = [
    ("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390),
]  # fmt: skip
Open = Callable[..., Screen]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_itself_fits_and_is_accessible(open_tab: Open, view: str) -> None:
    screen = open_tab(view)
    for scheme, width in LOOKS:
        screen.page.emulate_media(color_scheme=scheme)
        screen.resize(width)
        expect(screen.page.get_by_text(VIEWS[view]).first).to_be_visible()
        screen.take_picture(PICTURES / f"{view.replace('/', '-')}-{scheme}-{width}.png")
        assert screen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(screen) == [], (scheme, width)


@pytest.mark.parametrize("keys", ["k", "?", "/"])
def test_a_dialog_is_accessible(open_tab: Open, keys: str) -> None:
    screen = open_tab()
    screen.page.keyboard.press(keys)
    expect(screen.dialog).to_be_visible()
    assert violations(screen) == []


def test_the_overview_has_the_broker_s_figures(open_tab: Open, stack: Stack) -> None:
    screen = open_tab()
    currency = stack.read("/api/oanda/account")["currency"]
    expect(screen.page.get_by_text(f"{currency} NAV")).to_be_visible()
    meter = screen.page.get_by_role("meter", name="Margin in use")
    expect(meter).to_have_attribute("aria-valuetext", re.compile("of 30 %"))
    expect(screen.page.get_by_role("meter")).to_have_count(11)


def test_an_unknown_view_says_so(open_tab: Open) -> None:
    screen = open_tab()
    screen.page.goto(f"{screen.url}/#/nothing")
    expect(screen.page.get_by_text("There is no such view")).to_be_visible()


def test_the_keyboard_reaches_every_view_and_lists_itself(open_tab: Open) -> None:
    screen = open_tab()
    for key, title in (("w", "Why not"), ("p", "Positions"), ("s", "System"), ("o", "Overview")):
        screen.page.keyboard.press("g")
        screen.page.keyboard.press(key)
        expect(screen.page.get_by_role("heading", level=1)).to_have_text(title)
    screen.page.keyboard.press("?")
    expect(screen.dialog).to_contain_text("engage the kill switch, from any view")
    screen.page.keyboard.press("Escape")
    expect(screen.dialog).to_have_count(0)


def test_the_palette_goes_to_an_instrument(open_tab: Open) -> None:
    screen = open_tab()
    screen.page.keyboard.press("Control+k")
    expect(screen.dialog.get_by_role("option")).to_have_count(12)
    screen.page.keyboard.type("why not eur jpy")
    screen.page.keyboard.press("Enter")
    expect(screen.page.get_by_role("heading", level=1)).to_contain_text("EUR_JPY")


def test_times_follow_the_chosen_zone(open_tab: Open) -> None:
    screen = open_tab("system")
    screen.page.keyboard.press("z")
    expect(screen.page.get_by_role("button", name="New York")).to_be_visible()
    screen.page.reload()
    expect(screen.page.get_by_role("button", name="New York")).to_be_visible()


def test_the_chart_draws_candles_and_metrics(open_tab: Open) -> None:
    screen = open_tab("instrument/EUR_USD")
    chart = screen.page.get_by_role("img", name="mid candles of EUR_USD")
    expect(chart.locator("canvas").first).to_be_visible()
    screen.page.get_by_role("button", name="ask", exact=True).click()
    expect(screen.page.get_by_role("img", name="ask candles of EUR_USD")).to_be_visible()


def test_results_and_decisions_have_what_the_journal_has(open_tab: Open, stack: Stack) -> None:
    screen = open_tab("decisions")
    table = screen.page.get_by_role("region", name="Decisions, newest first")
    table.get_by_role("link", name=re.compile("^Inputs of this")).first.click()
    expect(screen.page.get_by_role("heading", name=re.compile("^Decision: "))).to_be_visible()
    screen.page.get_by_text("Record and inputs, as they are stored").click()
    expect(screen.page.get_by_text("action.target", exact=True)).to_be_visible()
    trades = stack.read("/api/journal/trades?page_size=25")["trades"]
    screen.go("results")
    expect(screen.page.get_by_role("region", name="Today so far")).to_contain_text("earned")
    rows = screen.page.get_by_role("region", name="Trades, newest first").get_by_role("row")
    if trades:
        expect(rows).not_to_have_count(0)
