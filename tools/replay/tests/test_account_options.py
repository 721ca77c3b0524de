"""Costs, home currency and all listed instruments in a replay, by figures computed by hand."""

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from sep_evaluator.cli.cost_specs import read_costs
from sep_evaluator.domain.costs import Costs, CostTable
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.granularity import Granularity
from sep_fx.instants import parse_rfc3339
from sep_kit.settings.loading import load_settings
from sep_local.env_file import read_env_file
from sep_paper_broker.account.transactions import DailyFinancing
from sep_paper_broker.market.instruments import EVERY_LISTING, LISTINGS
from sep_paper_broker.orders.fill_records import OrderFill
from sep_replay.cli import main
from sep_replay.engine import Replay
from sep_replay.journal import Topic
from sep_replay.lacks import lacks_of
from sep_replay.parity.sources import StackSources
from sep_replay.run_folder import closed_trades
from sep_replay.tape import Tape

from .markets import market_tape, path_tape
from .played import WIDE, played
from .test_replay import ALWAYS, SPREAD, of, replay, rising, write

D = Decimal
OPEN = (*ALWAYS, "--open-gates")
SEVEN = ("AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "NZD")


def entry_of(folder: Path, *options: str) -> dict[str, Any]:
    """The first order of a rising market."""
    events = replay(folder, folder / "log.json", *OPEN, *options)
    return next(e for e in of(events, "order") if e["kind"] == "ENTRY")


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    return write(tmp_path, rising(160))


def test_an_order_slips_by_spreads_and_basis_points(candles: Path) -> None:
    plain = entry_of(candles)
    price = D(plain["answer"]["price"])
    for spec, slip in (("slippage_spreads=1", SPREAD), ("slippage_bps=0.5", D("0.00006"))):
        slipped = entry_of(candles, "--costs", spec)
        # Half a basis point of 1.10 is 0.000055, rounded to the broker's price step.
        assert D(slipped["answer"]["price"]) == price + slip
        units = D(slipped["units"])
        assert D(plain["nav"]) - D(slipped["nav"]) == (units * slip).quantize(D("0.0001"))


def test_an_order_reaches_the_market_with_the_first_bar_after_its_delay(candles: Path) -> None:
    plain, late = entry_of(candles), entry_of(candles, "--costs", "delay_sec=61")
    decided, reached = (parse_rfc3339(e["time"]) // 10**9 for e in (plain, late))
    assert reached == decided + 120
    rows = [row.split(",") for row in (candles / "EUR_USD_M1_2014-03.csv").read_text().split()]
    (bar,) = [row for row in rows if row[0] == late["time"]]
    assert late["answer"]["price"] == bar[5]
    assert late["units"] == plain["units"]


def test_an_order_on_its_way_is_not_sent_twice(candles: Path) -> None:
    events = replay(candles, candles / "log.json", *OPEN, "--costs", "delay_sec=600")
    orders = of(events, "order")
    assert len({e["id"] for e in orders}) == len(orders)
    times = [parse_rfc3339(e["time"]) // 10**9 for e in orders]
    assert min(b - a for a, b in pairwise(times)) >= 600


def held_over_a_night(costs: Costs) -> Replay:
    """A market that rises until after 22:00 UTC, 17:00 New York, and then falls."""
    minutes = np.arange(480)
    up = 1.1 + 5e-5 * ((minutes + 1) // 2)
    start = parse_rfc3339("2026-01-13T18:00:00Z") // 10**9
    tape = path_tape(np.concatenate([up, up[-1] - 5e-5 * np.arange(1, 200)]), start=start)
    return played(tape, WIDE, open_gates=True, costs=CostTable(default=costs))


def test_a_night_is_charged_on_the_value_of_the_position() -> None:
    run = held_over_a_night(Costs(financing_long_bps=2.0, financing_short_bps=-7.0))
    events = run.journal.events
    (night,) = [e for e in events if isinstance(e.data.get("transaction"), DailyFinancing)]
    assert night.time == parse_rfc3339("2026-01-13T22:00:00Z") // 10**9
    before = [e for e in events[: events.index(night)] if e.topic in (Topic.ORDER, Topic.FILL)]
    fills = [e.data.get("answer") or e.data["transaction"] for e in before]
    units = sum((f.units for f in fills if isinstance(f, OrderFill)), D(0))
    # The bar that ends at 22:00 is the 240th: the path has risen by 120 half pips.
    mid = D("1.1") + 120 * D("0.00005")
    assert units > 0
    body = night.data["transaction"]
    assert body.financing == pytest.approx(-units * mid * D("0.0002"), abs=D("0.001"))
    trades = list(closed_trades(run.journal))
    assert run.account.is_flat
    assert sum(t.financing for t in trades) == body.financing
    assert sum(t.realized_pl + t.financing for t in trades) == run.account.balance - 100_000


def test_without_costs_nothing_is_charged_and_the_bytes_stay(candles: Path) -> None:
    for name, options in (("plain", ()), ("zero", ("--costs", "slippage_bps=0"))):
        assert main([str(candles), *OPEN, "--out", str(candles / name), *options]) == 0
    for file in ("manifest.json", "events.json", "nav.csv", "trades.csv"):
        assert (candles / "plain" / file).read_bytes() == (candles / "zero" / file).read_bytes()
    assert "costs" not in json.loads((candles / "plain" / "manifest.json").read_text())
    run = held_over_a_night(Costs())
    assert not any(t.financing for t in closed_trades(run.journal))


def test_a_stop_slips_and_a_take_profit_does_not() -> None:
    tape = market_tape(("EUR_USD",), Granularity.M1, 8, seed=3)
    by_reason: dict[str, list[Decimal]] = {}
    costs = CostTable(default=Costs(slippage_spreads=3))
    run = played(tape, WIDE, open_gates=True, costs=costs)
    levels = {
        f"{o.type}": o for o in run.account._account.book.orders.values() if hasattr(o, "price")
    }
    assert levels
    orders = run.account._account.book.orders
    for event in run.journal.of(Topic.FILL):
        fill = event.data["transaction"]
        if isinstance(fill, OrderFill):
            level = orders[fill.order_id].price  # type: ignore[union-attr]
            side = 1 if fill.units > 0 else -1
            by_reason.setdefault(str(fill.reason), []).append(side * (fill.price - level))
    assert all(worse > 0 for worse in by_reason["STOP_LOSS_ORDER"])
    assert all(worse <= 0 for worse in by_reason.get("TAKE_PROFIT_ORDER", []))


def test_the_gates_see_what_the_account_pays() -> None:
    tape = market_tape(("EUR_USD",), Granularity.M1, 8, seed=3)
    free = played(tape, WIDE).evaluation.run("EUR_USD").summary()
    costs = CostTable(default=Costs(slippage_bps=5))
    paid = played(tape, WIDE, costs=costs).evaluation.run("EUR_USD").summary()
    assert paid.pnl_total < free.pnl_total


def test_units_follow_from_the_account_s_own_currency(candles: Path) -> None:
    order = entry_of(candles, "--home", "EUR")
    # A quarter of 30 % of 100,000 EUR is margin; a unit of EUR_USD is worth one EUR.
    rate = LISTINGS["EUR_USD"].instrument.margin_rate
    # Rates have twelve decimals: of so many units one may be lost.
    assert 0 <= D(7_500) / rate - D(order["units"]) <= 1
    price = D(order["answer"]["price"])
    # What the spread cost, in dollars, is bought at the bid.
    lost = D(order["units"]) * SPREAD / (price - SPREAD)
    assert D(order["nav"]) == pytest.approx(100_000 - lost, abs=D("0.01"))


def test_what_converts_into_the_home_currency_is_loaded_and_not_traded(tmp_path: Path) -> None:
    rows = rising(160)
    for name in ("GBP_USD", "EUR_USD", "AUD_USD"):
        write(tmp_path, rows, f"{name}_M1_2014-03.csv")
    out = tmp_path / "run"
    options = ("--instruments", "GBP_USD", "--home", "EUR", "--out", str(out))
    events = replay(tmp_path, tmp_path / "log.json", *OPEN, *options)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["home_currency"] == "EUR"
    assert sorted(manifest["candles"]) == ["EUR_USD", "GBP_USD"]
    assert {e["subject"] for e in of(events, "decision")} == {"GBP_USD"}
    assert {e["subject"] for e in of(events, "gate")} == {"GBP_USD"}
    order = of(events, "order")[0]
    assert order["filled"]
    # Both pairs have the same prices: a pound is a euro.
    rate = LISTINGS["GBP_USD"].instrument.margin_rate
    assert 0 <= D(7_500) / rate - D(order["units"]) <= 1


def test_a_replay_says_at_its_start_what_it_lacks(tmp_path: Path, capsys: Any) -> None:
    folder = write(tmp_path, rising(160), "EUR_GBP_M1_2014-03.csv")
    events = replay(folder, tmp_path / "log.json", *OPEN)
    said = capsys.readouterr().err
    assert "EUR_GBP can't be valued in USD without candles of GBP_USD: it is not traded" in said
    assert "EUR_GBP has 0.1 days of candles, less than the 30 of a slice" in said
    assert of(events, "order") == []


def test_nothing_is_lacking_where_two_pairs_convert_over_the_dollar() -> None:
    tape = market_tape(("EUR_GBP", "GBP_USD", "USD_CHF"), Granularity.M1, 1, seed=1)
    assert list(lacks_of(tape, "CHF", 0)) == []


def test_all_majors_crosses_and_metals_are_played() -> None:
    currencies = (*SEVEN, "USD")
    pairs = [f"{a}_{b}" for a in currencies for b in currencies if f"{a}_{b}" in EVERY_LISTING]
    assert len(pairs) == 28
    one = path_tape(np.asarray(1.1 + 5e-5 * ((np.arange(130) + 1) // 2), np.float64))
    bars = one.bars["EUR_USD"]
    names = [*pairs, "XAU_USD", "XAG_USD"]
    run = played(Tape(one.granularity, dict.fromkeys(names, bars)), WIDE, open_gates=True)
    assert set(run.evaluations) == set(names)
    entered = {e.subject for e in run.journal.of(Topic.ORDER) if e.data["filled"]}
    # Three slots, of which the first by name are as good as the others.
    assert len(entered) == 3


LIVE_TRADE = {
    "instrument": "EUR_USD", "units": "1000", "open_price": "1.2", "close_price": "1.201",
    "open_time": 1.7e12, "close_time": 1.7e12 + 60_000, "own": True,
    "parts": {"signal": "0.60", "half_spread": "-0.08", "delay": "-0.01", "slippage": "-0.01",
              "financing": "0"},
}  # fmt: skip


def test_live_costs_come_from_the_journal_s_own_closed_trades() -> None:
    trade = LIVE_TRADE
    others = [{**trade, "own": False}, {**trade, "close_time": None}, {**trade, "open_price": ""}]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("page_token"):
            return httpx.Response(200, json={"trades": [trade], "next_page_token": ""})
        return httpx.Response(200, json={"trades": [trade, *others], "next_page_token": "2"})

    found = StackSources("http://stack", None)
    found._http = httpx.Client(base_url="http://stack", transport=httpx.MockTransport(answer))
    # One spread is 0.08; two fills lost 0.02: an eighth of a spread each.
    assert found.costs().of("EUR_USD").slippage_spreads == pytest.approx(0.125)


@pytest.fixture
def stack() -> Iterator[str]:
    """A stack that evaluates EUR_USD, and traded it, and GBP_USD until some day."""
    trades = [{**LIVE_TRADE, "instrument": i} for i in ("EUR_USD", "GBP_USD") for _ in range(10)]
    answers = {
        "/api/journal/trades": {"trades": trades, "next_page_token": ""},
        "/api/pairs": {"pairs": [{"instrument": "EUR_USD"}]},
    }

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[urlsplit(self.path).path]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """No log on the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_measured_costs_are_a_line_of_an_env_file_that_the_evaluator_takes(
    stack: str, tmp_path: Path, capsys: Any
) -> None:
    assert main(["costs", "--url", stack, "--env"]) == 0
    (tmp_path / "measured.env").write_text(capsys.readouterr().out)
    environ = read_env_file(tmp_path / "measured.env")
    found = load_settings(EvaluatorSettings, {**environ, "HOTBAND_PAIRS": "EUR_USD"}).costs()
    eighth = Costs(slippage_spreads=0.125)
    # GBP_USD is not evaluated any more: the evaluator would refuse its costs.
    assert found == CostTable(default=eighth, by_instrument={"EUR_USD": eighth})


def test_measured_costs_are_a_file_for_costs_and_a_table(
    stack: str, tmp_path: Path, capsys: Any
) -> None:
    assert main(["costs", "--url", stack, "--json"]) == 0
    (tmp_path / "costs.json").write_text(capsys.readouterr().out)
    assert read_costs(str(tmp_path / "costs.json")).of("GBP_USD").slippage_spreads == 0.125
    assert main(["costs", "--url", stack]) == 0
    shown = capsys.readouterr().out
    assert "GBP_USD" in shown
    assert "0.1250" in shown
    assert main(["costs", "--url", "http://127.0.0.1:9"]) == 1
    assert "the stack does not answer" in capsys.readouterr().err


def test_without_costs_given_a_replay_plays_those_of_the_evaluator(candles: Path) -> None:
    table = {"EUR_USD": {"slippage_spreads": 1.0}}
    (candles / "costs.json").write_text(json.dumps(table))
    knob = ("--set", f"EVAL_COSTS_JSON={json.dumps(table)}", "--set", "HOTBAND_PAIRS=EUR_USD")
    given = ("--set", "HOTBAND_PAIRS=EUR_USD", "--costs", str(candles / "costs.json"))
    for name, options in (("knob", knob), ("given", given), ("plain", given[:2])):
        assert main([str(candles), *OPEN, *options, "--out", str(candles / name)]) == 0
    for file in ("events.json", "nav.csv", "trades.csv"):
        knobs, costs, plain = (
            (candles / n / file).read_bytes() for n in ("knob", "given", "plain")
        )
        assert knobs == costs != plain


def test_gates_pay_costs_of_the_settings_where_the_account_has_its_own() -> None:
    """As in the comparison with a day that was traded, whose fills had their real costs."""
    tape = path_tape(np.asarray(1.1 + 5e-5 * ((np.arange(300) + 1) // 2), np.float64))
    run = played(tape, {**WIDE, "EVAL_COSTS_JSON": '{"default": {"slippage_bps": 1}}'})
    free = played(tape, WIDE)
    gates = [r.evaluation.run("EUR_USD").equity[-1] for r in (run, free)]
    assert gates[0] < gates[1]
    quote = run.account._account.book.quotes["EUR_USD"]
    assert run.account._slippage(quote) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--costs", "slipage=1"), "slipage: unknown cost, allowed are"),
        (("--costs", "journal", "--url", "http://127.0.0.1:9"), "the stack does not answer"),
    ],
)
def test_costs_that_cannot_be_used_end_the_command(
    candles: Path, capsys: Any, options: tuple[str, ...], said: str
) -> None:
    assert main([str(candles), *options]) == 1
    assert said in capsys.readouterr().err


def test_several_settings_in_one_pass_are_the_bytes_of_each_alone(
    candles: Path, capsys: Any
) -> None:
    grid = ("--set", "PM_RAMP_STEP_PCT=0.5", "--set", "PM_RAMP_STEP_PCT=0.1")
    assert main([str(candles), *OPEN, *grid, "--out", str(candles / "runs")]) == 0
    assert "PM_RAMP_STEP_PCT=0.5" in capsys.readouterr().out.split("Settings")[-1]
    logs = set()
    for value in ("0.5", "0.1"):
        name = f"PM_RAMP_STEP_PCT={value}"
        assert main([str(candles), *OPEN, "--set", name, "--out", str(candles / value)]) == 0
        for file in ("manifest.json", "events.json", "nav.csv", "trades.csv"):
            together = (candles / "runs" / name / file).read_bytes()
            assert together == (candles / value / file).read_bytes()
        logs.add((candles / value / "events.json").read_bytes())
    assert len(logs) == 2


def test_variants_of_a_file_have_their_names(candles: Path) -> None:
    path = candles / "variants.json"
    path.write_text(json.dumps({"calm": {"PM_RAMP_STEP_PCT": 0.1}, "fast": {"ALLOC_TOP_K": 1}}))
    out = candles / "runs"
    assert main([str(candles), *OPEN, "--variants", str(path), "--out", str(out)]) == 0
    tops = {p.name: json.loads((p / "manifest.json").read_text()) for p in out.iterdir()}
    assert {n: m["settings"]["ALLOC_TOP_K"] for n, m in tops.items()} == {"calm": 3, "fast": 1}
    with (out / "calm" / "trades.csv").open() as file:
        assert next(csv.reader(file))[0] == "instrument"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "ALLOC_TOP_K=1", "--set", "ALLOC_TOP_K=2"), "several settings need --out"),
        (("--set", "ALLOC_TOP_K=1", "--set", "ALLOC_TOP_K=0", "--out", "x"), "ALLOC_TOP_K"),
        (("--set", "ALLOC_TOPK=1"), "ALLOC_TOPK"),
        (("--variants", "no.json"), "no.json"),
    ],
)
def test_settings_that_cannot_be_used_end_before_the_first_is_played(
    candles: Path, capsys: Any, options: tuple[str, ...], said: str
) -> None:
    assert main([str(candles), *OPEN, *options]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("text", ['{"../up": {}}', "[]", '{"a": 1}', "{"])
def test_a_file_of_variants_that_cannot_be_used_is_named(
    candles: Path, capsys: Any, text: str
) -> None:
    path = candles / "variants.json"
    path.write_text(text)
    assert main([str(candles), "--variants", str(path), "--out", str(candles / "runs")]) == 1
    assert "variants.json" in capsys.readouterr().err
    assert not (candles / "runs").exists()
