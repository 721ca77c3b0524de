"""Slippage, financing and decision delay of the backtest: by hand, and against the reference."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_evaluator.cli.cost_specs import read_costs
from sep_evaluator.cli.parser import main
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_state import REASONS
from sep_evaluator.domain.cost_records import rollovers
from sep_evaluator.domain.costs import Costs, CostTable
from sep_evaluator.domain.measured_costs import PaidTrade, measured_costs
from sep_fx.bars import Bars
from sep_fx.instants import format_seconds, parse_rfc3339
from sep_fx.sessions import SessionCalendar

from . import reference
from .candles import random_walk, walks
from .test_backtest import ALWAYS, EAGER, FX, as_dicts, near, plain_figures, run_of

TAPE = random_walk(7, 2000, gap=0.0, wild=0.0)
_RATES = st.sampled_from([0.0, 0.3, 5.0])


def trades_of(bars: Bars, **costs: float) -> list[dict[str, Any]]:
    return as_dicts(run_of(bars, costs=Costs.from_mapping(costs)))


def at(bars: Bars, time: int) -> int:
    return int(np.searchsorted(bars.time, time))


def test_no_costs_give_the_bytes_of_a_run_without_the_parameter() -> None:
    plain, zero = run_of(TAPE), run_of(TAPE, costs=Costs())
    assert len(plain.trades) > 50
    assert plain.trades.tobytes() == zero.trades.tobytes()
    assert plain.equity.tobytes() == zero.equity.tobytes()


def test_an_entry_slips_by_basis_points_and_by_a_share_of_the_spread() -> None:
    found = trades_of(TAPE, slippage_bps=2, slippage_spreads=0.5)[0]
    t = at(TAPE, found["entry_time"])
    bid, ask = float(TAPE.bid_o[t]), float(TAPE.ask_o[t])
    sign, price = (1, ask) if found["side"] == 1 else (-1, bid)
    assert found["entry"] == pytest.approx(price + sign * (price * 0.0002 + (ask - bid) / 2))


def test_every_exit_slips_but_a_take_profit() -> None:
    run = run_of(TAPE, costs=Costs(slippage_bps=2))
    seen = set()
    for trade in run.trades:
        t, reason = at(TAPE, trade["exit_time"]), REASONS[trade["reason"]]
        long = trade["side"] == 1
        quote = float(TAPE.bid_o[t] if long else TAPE.ask_o[t])
        worse = quote * (1 - 0.0002 if long else 1 + 0.0002)
        seen.add(reason)
        if reason in {"reversal", "rupture"}:
            assert trade["exit"] == pytest.approx(worse)
        elif reason == "take_profit":
            reached = float(TAPE.bid_h[t] if long else TAPE.ask_l[t])
            assert trade["side"] * (reached - trade["exit"]) >= -1e-12
    assert {"reversal", "take_profit"} <= seen


def test_a_delay_fills_at_the_open_of_the_first_bar_from_then_on() -> None:
    prompt = trades_of(TAPE)[0]
    for delay, later in ((1, 60), (60, 60), (61, 120)):
        late = trades_of(TAPE, delay_sec=delay)[0]
        assert late["entry_time"] == prompt["entry_time"] + later
        t = at(TAPE, late["entry_time"])
        assert late["entry"] == float((TAPE.ask_o if late["side"] == 1 else TAPE.bid_o)[t])


def test_each_17_00_new_york_over_which_a_position_is_held_is_charged_once() -> None:
    # A rise of two bars in three: one long position that no stop, target or rupture ends.
    begin = parse_rfc3339("2026-03-06T20:00:00Z") // 10**9  # a Friday; summer time on the Sunday
    count = 4 * 1440
    up = 1.3 + 1e-5 * np.arange(count + 1)
    prices = [
        np.concatenate([up[:1], up[:-2]]),
        up[:-1],
        np.concatenate([up[:1], up[:-2]]),
        up[:-1],
    ]
    bars = Bars.from_rows(begin + 60 * np.arange(count), np.vstack(prices * 2), np.ones(count, int))
    params = replace(EAGER, reward_risk=1e6, bracket_sigma_k=1e3, dir_threshold_bps=0.1)
    plain = run_of(bars, params)
    charged = run_of(bars, params, costs=Costs(financing_long_bps=0.5, financing_short_bps=9))
    assert (plain.position, charged.position) == (1, 1)
    cost = plain.equity - charged.equity
    nights = ["2026-03-06T22:00", "2026-03-07T22:00", "2026-03-08T21:00", "2026-03-09T21:00"]
    steps = np.flatnonzero(np.diff(cost) > 1e-9) + 1
    assert [format_seconds(int(bars.time[t]) + 60)[:16] for t in steps] == nights
    assert cost[-1] == pytest.approx(4 * 0.5e-4)


def test_financing_below_zero_is_earned() -> None:
    assert Costs.from_mapping({"financing_bps": -1}).times(2).financing_long_bps == -1
    assert Costs.from_mapping({"financing_bps": 1}).times(2).financing_short_bps == 2


def test_twice_the_slippage_costs_twice_as_much_of_the_same_fills() -> None:
    once, twice = (trades_of(TAPE, slippage_bps=bps)[0]["entry"] for bps in (1, 2))
    assert twice - trades_of(TAPE)[0]["entry"] == pytest.approx(
        2 * (once - trades_of(TAPE)[0]["entry"])
    )


@settings(max_examples=25, deadline=None)
@given(
    bars=walks(60),
    calendar=st.sampled_from([ALWAYS, FX]),
    costs=st.builds(
        Costs,
        slippage_bps=_RATES,
        slippage_spreads=_RATES,
        financing_long_bps=_RATES,
        financing_short_bps=st.sampled_from([0.0, -2.0]),
        delay_sec=st.sampled_from([0, 1, 60, 150]),
    ),
)
def test_costs_match_the_reference(bars: Bars, calendar: SessionCalendar, costs: Costs) -> None:
    run = run_of(bars, EAGER, 60, calendar, costs=costs)
    expected = reference.run(bars, plain_figures(bars), EAGER, 60, near(calendar), costs)
    assert as_dicts(run) == [
        {k: pytest.approx(v, abs=1e-12) if isinstance(v, float) else v for k, v in trade.items()}
        for trade in expected.trades
    ]
    assert run.equity == pytest.approx(expected.equity, abs=1e-12)


def test_costs_do_not_depend_on_how_bars_are_split() -> None:
    costs = Costs(slippage_bps=1, financing_long_bps=1, financing_short_bps=1, delay_sec=90)
    whole = run_of(TAPE, costs=costs)
    parts = StrictSpanRun(EAGER, 60, "EUR_USD", ALWAYS, 5, costs=costs)
    for i in range(0, len(TAPE), 7):
        parts.extend(TAPE.slice(i, min(i + 7, len(TAPE))))
    assert parts.trades.tobytes() == whole.trades.tobytes()
    assert parts.equity.tobytes() == whole.equity.tobytes()


def test_rollovers_are_17_00_new_york_in_summer_and_winter() -> None:
    found = {format_seconds(int(t)) for t in rollovers()}
    assert {"2026-01-15T22:00:00Z", "2026-07-15T21:00:00Z"} <= found


def test_costs_are_read_from_text_and_from_a_file_by_instrument(tmp_path: Path) -> None:
    table = read_costs("slippage_bps=0.2,financing_bps=0.5,delay_sec=60")
    assert table.of("EUR_USD") == Costs(
        slippage_bps=0.2, financing_long_bps=0.5, financing_short_bps=0.5, delay_sec=60
    )
    path = tmp_path / "costs.json"
    table = CostTable(default=Costs(delay_sec=1), by_instrument={"EUR_USD": Costs(slippage_bps=1)})
    path.write_text(json.dumps(table.as_json()))
    assert read_costs(str(path)) == table
    assert read_costs(str(path)).of("USD_JPY").delay_sec == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slipage=1", "unknown cost"),
        ("slippage_bps=-1", "slippage_bps is -1.0, allowed is a number from 0 to 1000"),
        ("slippage_bps=nan", "slippage_bps is nan"),
        ("delay_sec=1.5", "a whole number"),
        ("slippage_bps=x", "'slippage_bps=x' is not NAME=VALUE"),
        ("nowhere.json", "No such file"),
    ],
)
def test_costs_that_cannot_be_used_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_costs(text)


def test_the_commands_take_costs(tmp_path: Path, capsys: Any) -> None:
    rows = ["time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c"]
    columns = [getattr(TAPE, f"{side}_{p}") for side in ("bid", "ask") for p in "ohlc"]
    for i, time in enumerate(TAPE.time[:600]):
        prices = (repr(float(column[i])) for column in columns)
        rows.append(",".join([format_seconds(int(time)), *prices]))
    path = tmp_path / "EUR_USD_M1_2014-05.csv"
    path.write_text("\n".join(rows) + "\n")
    (tmp_path / "grid.yaml").write_text("c_min: 0\nmax_entropy: 1\ndir_threshold_bps: 0.5\n")
    params = '{"c_min": 0, "max_entropy": 1, "dir_threshold_bps": 0.5}'
    sweep = ["sweep", "--candles", str(tmp_path), "--grid", str(tmp_path / "grid.yaml")]
    backtest = ["backtest", "--candles", str(path), "--params", params]
    end = ["--json", "-", "--market-calendar", "24x7"]
    totals = []
    for costs in ([], ["--costs", "slippage_bps=3"]):
        for command in (backtest, sweep):
            assert main([*command, *end, *costs]) == 0
            found = json.loads(capsys.readouterr().out)
            totals.append((found.get("results") or [found])[0]["pnl_total"])
    assert totals[0] == totals[1]
    assert totals[2] == totals[3] < totals[0]
    assert main([*backtest, *end, "--costs", "slipage=1"]) == 2
    assert "--costs: slipage: unknown cost" in capsys.readouterr().err


def paid(number: int, side: float = 1.0, **parts: float) -> PaidTrade:
    """A trade of EUR_USD for 1,000 units that gained 0.001 a unit and was held over two nights."""
    zero = dict.fromkeys(("signal", "half_spread", "delay", "slippage", "financing"), 0.0)
    opened = parse_rfc3339("2026-01-13T12:00:00Z") // 10**9
    return PaidTrade(
        instrument="EUR_USD", units=1000.0 * side, open_price=1.2, close_price=1.2 + 0.001 * side,
        opened=opened + number, closed=opened + 2 * 86_400 + number, parts={**zero, **parts},
    )  # fmt: skip


def test_costs_are_measured_from_the_parts_of_live_results() -> None:
    # In an account in another currency, in which a dollar is 0.5.
    parts = {"signal": 0.60, "half_spread": -0.08, "delay": -0.01, "slippage": -0.01}
    trades = [paid(i, **parts, financing=-0.06) for i in range(10)]
    found = measured_costs(trades).of("EUR_USD")
    # One spread is 0.08, two fills lost 0.02 together: an eighth of a spread each.
    assert found.slippage_spreads == pytest.approx(0.125)
    # 0.06 of 1,200 dollars, which are 600, over two nights: half a basis point each.
    assert found.financing_long_bps == pytest.approx(0.5)
    assert (found.financing_short_bps, found.delay_sec, found.slippage_bps) == (0, 0, 0)


def test_an_instrument_with_few_trades_has_the_mean_of_all() -> None:
    good = [paid(i, half_spread=-0.1, slippage=-0.02) for i in range(10)]
    few = [replace(paid(i, half_spread=-0.1), instrument="USD_JPY") for i in range(5)]
    table = measured_costs([*good, *few])
    assert table.of("EUR_USD").slippage_spreads == pytest.approx(0.1)
    assert table.of("USD_JPY").slippage_spreads == pytest.approx(0.1 * 10 / 15)


def test_without_trades_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="no closed trade"):
        measured_costs([])
