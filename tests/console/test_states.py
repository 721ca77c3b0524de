"""Views in states that a real stack rarely has, with canned answers in the API's form."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console import canned_answers
from tests.console.canned import CannedStack, Fault
from tests.console.screen import Screen, violations

PICTURES = Path(__file__).parents[2] / "build" / "console"
VIEWS = (
    "overview", "why", "why/EUR_JPY", "instrument/EUR_USD", "decisions", "decisions/d41",
    "decisions/d41?with=d40", "positions", "results", "research", "system",
)  # fmt: skip
FLIP = {
    "ts_ms": canned_answers.NOW_MS, "kind": "flip", "instrument": "EUR_USD",
    "data": '{"gate": 0}',
}  # fmt: skip
WIDTHS = (1280, 390)
KEY = "k" * 32
Open = Callable[..., Screen]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_and_is_accessible(look: Open, view: str, scheme: str) -> None:
    """In both widths; a theme has a page of its own, whose charts are drawn in its colours."""
    screen = look(view, scheme=scheme)
    if view.startswith("instrument"):
        expect(screen.page.get_by_role("img", name=re.compile("the gate opened"))).to_be_visible()
    for width in WIDTHS:
        screen.resize(width)
        picture(screen, f"{re.sub(r'[/?=]', '-', view)}-{scheme}-{width}")
        assert screen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(screen) == [], width


@pytest.mark.parametrize("engaged", [False, True])
def test_on_a_phone_the_kill_switch_stands_in_one_line(
    look: Open, canned: CannedStack, *, engaged: bool
) -> None:
    status = canned.answers["GET /api/status"]
    assert isinstance(status, dict)
    status["modes"]["kill_switch"] = engaged
    screen = look("overview", width=390)
    screen.use_key(KEY)
    screen.page.keyboard.press("z")
    buttons = screen.page.get_by_role("region", name="Safety").get_by_role("button")
    expect(buttons).to_have_count(5 if engaged else 4)
    expect(buttons.first).to_have_text("NY", use_inner_text=True)
    boxes = [box for box in (button.bounding_box() for button in buttons.all()) if box]
    assert len({box["y"] for box in boxes}) == 1
    assert {box["height"] for box in boxes} == {32}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_without_anything_says_so(look: Open, canned: CannedStack, view: str) -> None:
    """In the narrow width; the wide one of most views is in the test below."""
    canned.answers = canned_answers.nothing_yet()
    screen = look(view, width=390)
    picture(screen, f"states/empty-{re.sub(r'[/?=]', '-', view)}-light-390")
    assert screen.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(screen) == []


EMPTY = {
    "overview": "Flat: the broker reports no open position.",
    "instrument/EUR_USD": "No candle is stored.",
    "decisions": "Nothing that fits was decided in this time.",
    "positions": "No open trade.",
    "research": "Nothing was promoted yet.",
    "results": "The journal has no whole trading day yet",
}


@pytest.mark.parametrize("view", EMPTY)
def test_what_is_empty_is_told_from_what_is_unknown(
    look: Open, canned: CannedStack, view: str
) -> None:
    canned.answers = canned_answers.nothing_yet()
    expect(look(view).page.get_by_text(EMPTY[view]).first).to_be_visible()
    canned.faults["*"] = Fault(503, "STORE_UNAVAILABLE")
    screen = look(view)
    expect(screen.page.get_by_text("STORE_UNAVAILABLE").first).to_be_visible()
    expect(screen.page.get_by_text(EMPTY[view])).to_have_count(0)
    picture(screen, f"states/error-{view.replace('/', '-')}-light-1280")
    assert violations(screen) == []


def test_a_closed_market_is_no_fault(look: Open, canned: CannedStack) -> None:
    canned.answers = canned_answers.closed_market()
    screen = look("overview")
    expect(screen.page.get_by_text("The market is closed.")).to_be_visible()
    expect(screen.page.get_by_text("Waiting")).to_be_visible()
    expect(screen.page.get_by_text("opens in").first).to_be_visible()
    picture(screen, "states/closed-overview-light-1280")
    assert violations(screen) == []


def test_a_journal_that_is_away_greys_results_and_nothing_else(
    look: Open, canned: CannedStack
) -> None:
    fault = Fault(503, "JOURNAL_UNAVAILABLE")
    for name in ("performance", "costs", "trades"):
        canned.faults[f"GET /api/journal/{name}"] = fault
    screen = look("overview")
    expect(screen.page.get_by_text("JOURNAL_UNAVAILABLE")).to_have_count(1)
    expect(screen.page.get_by_text("100 772.55")).to_be_visible()
    expect(screen.page.get_by_text("Trading", exact=False).first).to_be_visible()
    screen.go("results")
    expect(screen.page.get_by_text("JOURNAL_UNAVAILABLE").first).to_be_visible()
    expect(screen.page.get_by_text("No trade was opened in this range.")).to_have_count(0)
    picture(screen, "states/partial-results-light-1280")


@pytest.mark.parametrize(("view", "title"), [("results", "Results"), ("decisions", "Decisions")])
def test_a_stack_without_a_journal_says_so(
    look: Open, canned: CannedStack, view: str, title: str
) -> None:
    for name in [n for n in canned.answers if "/journal/" in n or "/decisions" in n]:
        canned.faults[name] = Fault(404, "UNKNOWN_ROUTE")
    screen = look(view)
    expect(screen.page.get_by_text(f"{title}: not available in this installation")).to_be_visible()
    screen.go("overview")
    expect(screen.page.get_by_text("there is no journal")).to_be_visible()


def test_a_slow_answer_is_not_shown_as_an_empty_one(look: Open, canned: CannedStack) -> None:
    screen = look("overview")
    screen.page.route("**/api/journal/**", lambda route: None)  # It never answers.
    screen.page.goto(f"{canned.url}/#/results")
    expect(screen.page.get_by_text("Reading…").first).to_be_visible()
    expect(screen.page.get_by_text("No trade was opened")).to_have_count(0)
    picture(screen, "states/loading-results-light-1280")
    assert violations(screen) == []
    screen.page.unroute_all(behavior="ignoreErrors")


def test_a_stranger_s_four_questions_take_two_clicks_at_most(look: Open) -> None:
    """Is it trading; why not EUR_JPY; what did yesterday earn and cost; stop everything."""
    screen = look("overview")
    verdict = screen.page.get_by_role("region", name="Is it trading")
    expect(verdict).to_contain_text("Trading")
    verdict.get_by_role("link", name="Why not?").click()
    screen.page.get_by_role("link", name="EUR_JPY").click()
    expect(screen.page.get_by_role("heading", name="EUR_JPY: no entry now")).to_be_visible()
    expect(screen.page.get_by_role("listitem").first).to_contain_text("coherence rises (0.06")
    screen.page.get_by_role("link", name="Results").click()
    expect(screen.page.get_by_role("region", name="Yesterday")).to_contain_text("They cost")
    screen.page.get_by_role("button", name="Engage kill switch").click()
    expect(screen.dialog.get_by_role("button", name="Engage", exact=True)).to_be_visible()
    screen.dialog.get_by_role("button", name="Flatten").click()
    expect(screen.dialog).to_contain_text("Flatten")


def test_an_instrument_that_is_not_configured_is_named_as_such(look: Open) -> None:
    for view in ("why", "instrument"):
        screen = look(f"{view}/EUR_TRY")
        heading = "EUR_TRY is not among the configured instruments"
        expect(screen.page.get_by_role("heading", name=heading)).to_be_visible()
        expect(screen.page.get_by_role("heading", name="Checks")).to_have_count(0)
        screen.page.get_by_role("main").get_by_role("link", name="EUR_JPY").last.click()
        expect(screen.page.get_by_role("heading", level=1)).to_contain_text("EUR_JPY")
        expect(screen.page.get_by_text(heading)).to_have_count(0)


def test_why_not_marks_what_is_held_and_its_rows_stay_in_order(
    look: Open, canned: CannedStack
) -> None:
    screen = look("why")
    table = screen.page.get_by_role("region", name="Checks by instrument")
    names = table.get_by_role("rowheader").get_by_role("link")
    assert names.all_inner_texts() == list(canned_answers.PAIRS)
    expect(table.get_by_role("row", name="GBP_USD")).to_contain_text("held, long, ready")
    expect(table.get_by_role("row", name="GBP_USD")).to_contain_text("a further entry would pass")
    expect(table.get_by_role("row", name="USD_JPY")).not_to_contain_text("held")
    readiness = canned.answers["GET /api/trade/readiness"]
    assert isinstance(readiness, dict)
    for one in readiness["readiness"]:
        one["ready"] = not one["ready"]
    screen.page.clock.run_for(10_000)
    expect(table.get_by_role("row", name="EUR_JPY")).to_contain_text("ready")
    assert names.all_inner_texts() == list(canned_answers.PAIRS)


def test_the_overview_tells_what_is_held_from_what_is_not(look: Open) -> None:
    screen = look("overview")
    verdict = screen.page.get_by_role("region", name="Is it trading")
    expect(verdict).to_contain_text("not held: AUD_USD, USD_CAD, USD_CHF")
    expect(verdict).to_contain_text("held already: EUR_USD, GBP_USD")


def test_today_s_result_says_of_which_moment_it_is_and_a_limit_its_amount(look: Open) -> None:
    screen = look("overview")
    days = screen.page.get_by_role("region", name="NAV and days")
    expect(days).to_contain_text("as of 14:00:00")
    limits = screen.page.get_by_role("region", name="Risk limits")
    expect(limits).to_contain_text("0.20 % of 6 %")
    expect(limits).to_contain_text("201.55 of 6 046.35 USD")


def test_a_chart_that_is_not_there_has_no_caption(look: Open, canned: CannedStack) -> None:
    canned.answers = canned_answers.nothing_yet()
    days = look("overview").page.get_by_role("region", name="NAV and days")
    expect(days).to_contain_text("No chart yet")
    expect(days).not_to_contain_text("NAV at the ends of trading days")


def test_an_order_on_its_way_is_no_alarm_and_one_without_an_answer_is(
    look: Open, canned: CannedStack
) -> None:
    readiness = canned.answers["GET /api/trade/readiness"]
    assert isinstance(readiness, dict)
    screen = look("overview")
    # A machine that stalls makes no order old.
    screen.page.clock.set_fixed_time(datetime.fromtimestamp(canned_answers.NOW_MS / 1000, UTC))
    readiness["readiness"][0]["reasons"] = ["ORDER_UNKNOWN"]
    screen.go("positions")
    orders = screen.page.get_by_role("region", name="Orders without an answer")
    expect(orders).to_contain_text("AUD_USD: an order is on its way.")
    age = 'sep_order_unknown_seconds{instrument="AUD_USD",service="guard"} 14.0'
    canned.answers["GET /metrics"] = {"text": age}
    orders = look("positions").page.get_by_role("region", name="Orders without an answer")
    expect(orders).to_contain_text("AUD_USD: answer unknown.")


def test_positions_name_their_side(look: Open, canned: CannedStack) -> None:
    short = {"long_units": "0", "short_units": "-40000", "short_average_price": "1.08010"}
    positions = canned.answers["GET /api/oanda/positions"]
    assert isinstance(positions, dict)
    positions["positions"][1] |= short
    table = look("positions").page.get_by_role("region", name="Positions").get_by_role("table")
    expect(table.get_by_role("row").nth(1)).to_contain_text("long")
    expect(table.get_by_role("row").nth(2)).to_contain_text("short")


def test_yesterday_s_earnings_and_costs_are_named_with_their_parts(look: Open) -> None:
    day = look("results").page.get_by_role("region", name="Yesterday")
    expect(day).to_contain_text("+75.00")
    expect(day).to_contain_text("They cost, all together, once closed")
    expect(day).to_contain_text("\N{MINUS SIGN}11.13")  # Three groups.
    expect(day).to_contain_text("Half spread")


@pytest.mark.parametrize("group", ["hour", "session", "weekday"])
def test_costs_are_shown_by_every_group(look: Open, group: str) -> None:
    screen = look("results")
    screen.page.get_by_role("group", name="Costs by").get_by_role("link", name=group).click()
    expect(screen.page.get_by_role("heading", name=f"Costs by {group}")).to_be_visible()
    expect(screen.page.get_by_role("region", name=f"Sums by {group}")).to_contain_text("Together")
    assert f"by={group}" in screen.page.url


def test_trades_are_paged_and_filtered_and_the_address_can_be_shared(look: Open) -> None:
    screen = look("results")
    table = screen.page.get_by_role("region", name="Trades, newest first")
    expect(table.get_by_role("row")).to_have_count(26)
    screen.page.get_by_role("button", name="Older").click()
    expect(screen.page.get_by_text("Page 2")).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(17)
    screen.page.get_by_role("button", name="Newer").click()
    screen.page.get_by_role("combobox", name="Instrument").select_option("GBP_USD")
    expect(table.get_by_role("row")).to_have_count(21)
    screen.page.get_by_role("group", name="Which trades").get_by_text("open").click()
    expect(table.get_by_role("row")).to_have_count(2)
    screen.page.reload()
    expect(table.get_by_role("row")).to_have_count(2)


def test_trades_are_saved_as_a_file(look: Open) -> None:
    screen = look("results")
    with screen.page.expect_download() as download:
        screen.page.get_by_role("button", name="Trades as CSV").click()
    assert download.value.suggested_filename == "trades-2026.csv"
    assert Path(download.value.path()).read_bytes() == b"id,net_pl\n"


def test_decisions_are_searched_by_instrument_kind_and_reason(look: Open) -> None:
    screen = look("decisions")
    table = screen.page.get_by_role("region", name="Decisions, newest first")
    expect(table.get_by_role("row")).to_have_count(51)
    screen.page.get_by_role("combobox", name="Kind").select_option("REFUSAL")
    screen.page.get_by_label("Reason").fill("spread wide")
    screen.page.get_by_role("button", name="Search").click()
    expect(table.get_by_role("row")).to_have_count(31)
    assert "reason=SPREAD_WIDE" in screen.page.url
    expect(table).to_contain_text("12 times in 60 s")
    screen.page.get_by_role("combobox", name="Instrument").select_option("EUR_JPY")
    expect(table.get_by_role("row")).to_have_count(6)


@pytest.mark.parametrize("events", ["open", "away"])
def test_a_new_decision_appears_by_itself(look: Open, canned: CannedStack, events: str) -> None:
    """By its event, which is why the list is not polled; by polling where there are no events."""
    if events == "away":
        canned.faults["GET /api/events"] = Fault(503, "JOURNAL_UNAVAILABLE")
    canned.answers["GET /api/decisions"] = {"decisions": []}
    screen = look("decisions")
    light = screen.page.get_by_role("region", name="Safety")
    expect(light).to_contain_text("up to date" if events == "open" else "no events: polling")
    expect(screen.page.get_by_text("Nothing that fits was decided")).to_be_visible()
    screen.page.clock.run_for(5_000)  # What a stream that opens reads anew has been read.
    screen.settle()
    before = screen.reads("/api/decisions")
    screen.page.clock.run_for(30_000)
    if events == "open":
        screen.settle()
        assert screen.reads("/api/decisions") == before
    else:
        assert screen.reads_more("/api/decisions", before)
    canned.answers["GET /api/decisions"] = canned_answers.answers()["GET /api/decisions"]
    canned.happened.append({"ts_ms": 1, "kind": "decision", "data": "{}"})
    table = screen.page.get_by_role("region", name="Decisions, newest first")
    expect(table.get_by_role("row")).to_have_count(51)


def test_a_stream_of_events_that_broke_continues_where_it_was(
    look: Open, canned: CannedStack
) -> None:
    screen = look("system")
    streams = screen.page.get_by_role("region", name="This tab's streams")
    light = screen.page.get_by_role("region", name="Safety")
    expect(light).to_contain_text("up to date")
    canned.happened.append(FLIP)
    expect(streams).to_contain_text("Events so far1")
    canned.faults["GET /api/events"] = Fault(503, "JOURNAL_UNAVAILABLE")
    expect(light).to_contain_text("no events: polling")
    expect(streams).to_contain_text("JOURNAL_UNAVAILABLE")
    canned.happened.append(FLIP)
    del canned.faults["GET /api/events"]
    expect(light).to_contain_text("up to date")
    expect(streams).to_contain_text("Events so far2")
    assert canned.resumed[0] == ""
    # The audit looks at the past once.
    assert set(canned.resumed[1:]) == {"0", str(len(canned.happened) - 1)}


def test_the_system_view_has_the_settings_in_force_and_says_who_changed_what(
    look: Open, canned: CannedStack
) -> None:
    screen = look("system")
    audit = screen.page.get_by_role("region", name="Changes, newest first")
    expect(screen.page.get_by_role("region", name="Safety")).to_contain_text("up to date")
    expect(audit.get_by_role("row")).to_have_count(8)  # Those of the past among them.
    newest = audit.get_by_role("row").nth(1)
    expect(newest).to_contain_text(re.compile("ann.*kill switch released.*payrolls are out"))
    for who, what in (
        ("ann", "kill switch engaged"),
        ("ben", "USD_TRY locked"),
        ("breaker", "breaker tripped"),
        ("ann", "breaker acknowledged"),
        ("ann", "promoted 2026-03-07-m5"),
    ):
        expect(audit.get_by_role("row").filter(has_text=what)).to_contain_text(who)
    settings = screen.page.get_by_role("region", name="Settings in force")
    rows = screen.page.get_by_role("region", name="Settings, by name").get_by_role("row")
    expect(rows).to_have_count(3)  # Those that differ from their default.
    expect(rows.filter(has_text="OANDA_API_TOKEN")).to_contain_text("set, not shown")
    expect(settings).to_contain_text("journal did not answer (PEER_UNAVAILABLE)")
    settings.get_by_label("Search").fill("drawdown")
    expect(rows).to_have_count(2)
    audit.get_by_role("link", name="USD_TRY unlocked").click()
    title = screen.page.get_by_role("heading", name="Decision: USD_TRY unlocked")
    expect(title).to_be_visible()


def test_changes_of_the_kill_switch_are_found_however_long_ago_they_were(
    look: Open, canned: CannedStack
) -> None:
    canned.happened += [{"ts_ms": 1, "kind": "weights", "data": "{}"}] * 1200
    screen = look("system")
    audit = screen.page.get_by_role("region", name="Changes, newest first")
    more = screen.page.get_by_role("button", name="Look at 10 000 more")
    expect(more).to_be_visible()
    engaged = audit.get_by_role("row").filter(has_text="kill switch engaged")
    expect(engaged).to_have_count(0)
    more.click()
    expect(engaged).to_have_count(1)
    expect(more).to_have_count(0)  # That was the beginning.


def test_a_tab_has_one_stream_and_a_second_only_while_an_instrument_is_shown(look: Open) -> None:
    screen = look("overview")
    expect(screen.page.get_by_role("region", name="Safety")).to_contain_text("up to date")
    assert screen.reads("/api/events") == 1
    assert screen.reads("/api/manifold/stream") == 0
    screen.go("instrument/EUR_USD")
    screen.go("instrument/GBP_USD")
    assert screen.reads_more("/api/manifold/stream", 0)
    assert screen.reads_more("/api/events", 1)
    assert screen.reads("/api/events") == 2  # The past was looked at once, for the chart.
    assert screen.reads("/api/manifold/stream") == 1


def test_flips_of_the_gate_before_the_tab_was_opened_are_drawn(
    look: Open, canned: CannedStack
) -> None:
    screen = look("instrument/EUR_USD")
    chart = screen.page.get_by_role("img", name="mid candles of EUR_USD")
    expect(chart).to_have_accessible_name(re.compile("the gate opened 1 times, closed 1 times"))
    canned.happened.append(FLIP)
    expect(chart).to_have_accessible_name(re.compile("the gate opened 1 times, closed 2 times"))
    assert canned.resumed == ["", "0"]


def test_without_events_the_chart_says_that_flips_are_not_available(
    look: Open, canned: CannedStack
) -> None:
    canned.faults["GET /api/events"] = Fault(404, "UNKNOWN_ROUTE")
    screen = look("instrument/EUR_USD")
    expect(screen.page.get_by_text("Flips of the gate are not available")).to_be_visible()


def test_divergence_is_a_table_by_day_and_cause(look: Open, canned: CannedStack) -> None:
    screen = look("results")
    divergence = screen.page.get_by_role("region", name="Divergence", exact=True)
    expect(divergence.get_by_role("row")).to_have_count(5)
    expect(divergence).to_contain_text("\N{MINUS SIGN}1.20")
    expect(divergence).not_to_contain_text("unexplained")
    assert violations(screen) == []
    canned.answers = canned_answers.nothing_yet()
    screen = look("results")
    expect(screen.page.get_by_text("No day was compared with its replay yet")).to_be_visible()


def test_a_decision_shows_its_inputs_and_two_are_compared(look: Open) -> None:
    screen = look("decisions/d41")
    expect(screen.page.get_by_role("heading", name="Decision: EUR_USD entry, ")).to_be_visible()
    checks = screen.page.get_by_role("region", name="Checks of the decision, failed ones first")
    expect(checks.get_by_role("row").last).to_contain_text(re.compile("Spread.*4.1 bps.*passed"))
    path = screen.page.get_by_text("action.checks.SPREAD_WIDE.observed")
    expect(path).to_be_hidden()
    screen.page.get_by_text("Record and inputs, as they are stored").click()
    expect(path).to_be_visible()
    times = screen.page.get_by_role("row", name=re.compile("^ts "))
    expect(times).to_contain_text("14:00:00")
    expect(screen.page.get_by_role("region", name="Outcomes of its orders")).to_contain_text(
        "FILLED"
    )
    screen.page.get_by_role("link", name="Compare with this entry").first.click()
    table = screen.page.get_by_role("region", name="Two decisions side by side")
    expect(table).to_contain_text("4.1 bps")
    expect(table).to_contain_text("12.0 bps")
    expect(table).not_to_contain_text("100700.0000")
    screen.page.get_by_role("link", name="Show all").click()
    expect(table).to_contain_text("100700.0000")


DESTRUCTIVE = {
    "Flatten…": "Engage and close",
    "Drain…": "",
    "Close GBP_USD": "Lock and close GBP_USD",
}


@pytest.mark.parametrize("button", DESTRUCTIVE)
def test_what_destroys_starts_on_the_key_where_it_is_missing_else_on_cancel(
    look: Open, button: str
) -> None:
    screen = look("positions")
    screen.page.get_by_role("button", name=button).click()
    expect(screen.dialog.get_by_label("This needs a write key")).to_be_focused()
    screen.page.keyboard.press("Escape")
    screen.use_key(KEY)
    screen.page.get_by_role("button", name=button).click()
    expect(screen.dialog.get_by_role("button", name="Cancel")).to_be_focused()


def test_a_release_asks_for_digits_that_the_console_shows(look: Open, canned: CannedStack) -> None:
    status = canned.answers["GET /api/status"]
    assert isinstance(status, dict)
    status["modes"]["kill_switch"] = True
    screen = look("system")
    modes = screen.page.get_by_role("region", name="Modes and broker")
    expect(modes).to_contain_text("101-001-0000001-001")
    screen.go("overview")
    account = screen.page.get_by_role("region", name="Account", exact=True)
    expect(account).to_contain_text("101-001-0000001-001")
    screen.page.get_by_role("button", name="Engaged: release…").click()
    expect(screen.dialog.get_by_label("This needs a write key")).to_be_focused()
    expect(screen.dialog.get_by_label("Reason (required)")).to_be_visible()
    digits = screen.dialog.get_by_label("The account's last 4 digits (required)")
    expect(digits).to_have_accessible_description(
        re.compile("hyphens do not count. The whole number stands in Overview under Account")
    )
    release = screen.dialog.get_by_role("button", name="Release")
    digits.fill("1-001")
    release.click()
    expect(screen.dialog).to_contain_text("a release needs a reason")
    expect(screen.dialog).not_to_contain_text("these are not the account's last digits")
    assert violations(screen) == []


def test_an_engage_says_by_which_key_and_the_header_does_not_shout_it_again(
    look: Open, canned: CannedStack
) -> None:
    status = canned.answers["GET /api/status"]
    assert isinstance(status, dict)
    engaged = {"kill_switch": True, "actor": "write", "ts_ms": canned_answers.NOW_MS}
    canned.answers["POST /api/kill-switch"] = {**engaged, "durable": True}
    screen = look("overview")
    screen.use_key(KEY)
    screen.page.keyboard.press("k")
    status["modes"]["kill_switch"] = True
    screen.page.keyboard.press("Enter")
    expect(screen.dialog.get_by_role("heading", name="Kill switch engaged")).to_be_visible()
    expect(screen.dialog).to_contain_text("by key write")
    screen.page.keyboard.press("Escape")
    bar = screen.page.get_by_role("region", name="Safety")
    expect(bar.get_by_role("button", name="Engaged: release…")).to_be_visible()
    expect(bar.get_by_role("button", name="Engage…", exact=True)).not_to_have_class("danger")


def test_a_dry_run_without_a_key_asks_for_it_and_runs_with_it(
    look: Open, canned: CannedStack
) -> None:
    canned.answers["POST /api/trade/reconcile"] = {
        "cycle_id": "c-1",
        "ts_ms": canned_answers.NOW_MS,
    }
    screen = look("why")
    screen.page.get_by_role("button", name="Reconcile, dry run").click()
    run = screen.dialog.get_by_role("button", name="Run", exact=True)
    run.click()
    expect(screen.dialog).to_contain_text("A dry run needs a write key")
    assert screen.writes() == []
    screen.dialog.get_by_label("This needs a write key").fill(KEY)
    run.click()
    expect(screen.dialog).to_contain_text("Cycle c-1")
    expect(screen.dialog.get_by_role("button", name="Run again")).to_be_visible()
    assert canned.bodies[0] == ("/api/trade/reconcile", {"dry_run": True})


def test_terms_are_explained_from_the_header_and_from_the_palette(look: Open) -> None:
    screen = look("overview")
    screen.page.get_by_role("button", name="Help: terms and keys").click()
    expect(screen.dialog).to_contain_text("How regular a window is, 0 to 1.")
    assert violations(screen) == []
    screen.page.keyboard.press("Escape")
    screen.page.keyboard.press("Control+k")
    screen.page.keyboard.type("terms")
    screen.page.keyboard.press("Enter")
    expect(screen.dialog.get_by_role("heading", name="Terms")).to_be_visible()


def test_buttons_of_the_header_say_what_they_do(look: Open) -> None:
    buttons = look("overview").page.get_by_role("region", name="Safety").get_by_role("button")
    names = ["Times in UTC, change", "Theme auto, change", "Help: terms and keys", "No key",
             "Command palette", "Engage kill switch"]  # fmt: skip
    for button, name in zip(buttons.all(), names, strict=True):
        expect(button).to_have_accessible_name(name)
        expect(button).to_have_attribute("title", re.compile("."))


def test_one_position_is_closed_after_its_plan_and_nothing_else_is_asked_for(
    look: Open, canned: CannedStack
) -> None:
    screen = look("positions")
    screen.use_key(KEY)
    screen.page.get_by_role("button", name="Close GBP_USD").click()
    expect(screen.dialog.get_by_role("row")).to_have_count(2)
    assert screen.focused == "Cancel"
    assert violations(screen) == []
    close = screen.dialog.get_by_role("button", name="Lock and close GBP_USD")
    close.click()
    expect(screen.dialog).to_contain_text("a close needs a reason")
    screen.dialog.get_by_label("Reason").fill("news")
    close.click()
    expect(screen.dialog).to_contain_text("Closed.")
    bodies = [body for path, body in canned.bodies if path == "/api/flatten"]
    assert [b["instrument"] for b in bodies] == ["GBP_USD", "GBP_USD"]
    assert [b.get("dry_run") for b in bodies] == [True, None]
    assert bodies[1]["reason"] == "news"


def test_a_close_that_fails_is_not_shown_as_done(look: Open, canned: CannedStack) -> None:
    screen = look("positions")
    screen.use_key(KEY)
    screen.page.get_by_role("button", name="Close EUR_USD").click()
    expect(screen.dialog.get_by_role("row")).to_have_count(2)
    canned.faults["POST /api/flatten"] = Fault(503, "BROKER_UNAVAILABLE")
    screen.dialog.get_by_label("Reason").fill("news")
    screen.dialog.get_by_role("button", name="Lock and close EUR_USD").click()
    expect(screen.dialog.get_by_role("alert")).to_contain_text("The position may be open.")
    expect(screen.dialog.get_by_text("Closed.")).to_have_count(0)


def test_an_instrument_has_its_past_trades(look: Open) -> None:
    screen = look("instrument/GBP_USD")
    expect(screen.page.get_by_role("heading", name="Trades of GBP_USD")).to_be_visible()
    table = screen.page.get_by_role("region", name="Trades, newest first")
    expect(table.get_by_role("row")).to_have_count(21)
    expect(screen.page.get_by_text("Shaded bars lie outside")).to_be_visible()


def test_a_stranger_finds_the_four_answers_without_the_documents(
    look: Open, canned: CannedStack
) -> None:
    """Is it trading, why not EUR_JPY, what did yesterday earn and cost, stop everything."""
    page = look("overview").page
    expect(page.get_by_role("region", name="Is it trading")).to_contain_text("Trading")
    page.get_by_role("link", name="Why not?").click()
    page.get_by_role("link", name="EUR_JPY").click()
    expect(page.get_by_role("heading", name="EUR_JPY: no entry now")).to_be_visible()
    expect(page.get_by_text("coherence rises (0.06 short)").first).to_be_visible()
    page.get_by_role("link", name="Results").click()
    yesterday = page.get_by_role("region", name="Yesterday")
    expect(yesterday).to_contain_text("earned")
    expect(yesterday).to_contain_text("They cost, all together, once closed")
    page.get_by_role("button", name="Engage kill switch").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No entry passes from then on.")
    dialog.get_by_role("button", name="Flatten").click()
    expect(dialog).to_contain_text("engage the kill switch and close everything")


def picture(screen: Screen, name: str) -> None:
    """A screenshot, if asked for; those of whole views are chosen from for the documents."""
    screen.page.wait_for_timeout(400)  # Charts are drawn after their library is loaded.
    screen.take_picture(PICTURES / f"{name}.png")
