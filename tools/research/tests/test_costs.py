"""Costs of a sweep: given, measured from the journal, doubled, and stored with the run."""

import json
from pathlib import Path

import httpx
import pytest
from sep_client import Client
from sep_evaluator.domain.costs import Costs
from sep_evaluator.domain.params import StrategyParams
from sep_fx.sessions import MarketCalendar
from sep_research import cost_options
from sep_research.backtests import Market, TapeBacktest, with_costs
from sep_research.cli import main
from sep_research.folds import Fold
from sep_research.tasks import Job, run_doubled_costs

from .plans import plan
from .tapes import catalogue_of, trends
from .test_results_report import PARTS, trade

MARKET = Market(granularity_s=60, calendar=MarketCalendar.ALWAYS, exit_minutes=5)


def swept(folder: Path, out: str, *options: str) -> int:
    catalogue = folder / "c"
    if not catalogue.exists():
        catalogue_of(catalogue, EUR_USD=trends(1440 * 8, 1))
        (folder / "grid.yaml").write_text("c_min: [0.4, 0.5]\n")
    args = ["sweep", str(catalogue), "--grid", str(folder / "grid.yaml"), "--walk-forward", "3d/3d"]
    end = ["--null", "1", "--market-calendar", "24x7", "--out", str(folder / out), *options]
    return main([*args, *end])


def test_a_sweep_pays_its_costs_and_repeats_with_them(tmp_path: Path) -> None:
    assert swept(tmp_path, "free") == 0
    assert swept(tmp_path, "zero", "--costs", "slippage_bps=0") == 0
    assert swept(tmp_path, "paid", "--costs", "slippage_bps=0.5") == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "free").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "zero").iterdir()}
    free, paid = (
        json.loads((tmp_path / n / "manifest.json").read_text()) for n in ("free", "paid")
    )
    assert paid["plan"]["costs"]["default"]["slippage_bps"] == 0.5
    assert paid["verdicts"][0]["out_return"] < free["verdicts"][0]["out_return"]
    again = ["repeat", str(tmp_path / "paid"), str(tmp_path / "c"), "--out", str(tmp_path / "r")]
    assert main(again) == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "paid").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()}


def test_the_trades_without_a_curve_are_those_with_one() -> None:
    """Without a curve the loop skips bars."""
    tape = trends(1440 * 4, 1)
    sets = [
        StrategyParams.from_mapping({"c_min": 0.4, "max_entropy": 1.0, name: value})
        for name, value in (
            ("c_min", 0.3),
            ("max_rupture", 0.1),
            ("direction_lookback", 6),
            ("min_stability", 0.9),
        )
    ]
    for costs in (Costs(), Costs(slippage_bps=0.3, delay_sec=90)):
        backtest = TapeBacktest("EUR_USD", tape, MARKET, costs)
        curved = [backtest.run(params, with_equity=True).trades for params in sets]
        for _ in range(2):
            plain = [backtest.run(params, with_equity=False).trades for params in sets]
            assert [t.tobytes() for t in plain] == [t.tobytes() for t in curved]
        assert min(map(len, curved[:3])) > 5


def test_the_costs_of_live_trades_come_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = httpx.Client(transport=httpx.MockTransport(paid))
    monkeypatch.setattr(cost_options, "connect", lambda _: Client("http://stack", http=http))
    assert swept(tmp_path, "live", "--costs", "journal") == 0
    plan_ = json.loads((tmp_path / "live" / "manifest.json").read_text())["plan"]
    # One spread is 0.08; two fills lost 0.02: an eighth of a spread each.
    assert plan_["costs"]["default"]["slippage_spreads"] == pytest.approx(0.125)


def paid(request: httpx.Request) -> httpx.Response:
    """One page: a closed trade with costs, an open one, and one of a person."""
    parts = {**PARTS, "half_spread": "-0.08", "delay": "-0.01", "slippage": "-0.01"}
    closed = {**trade(2, 1_709_546_460_000.0), "parts": parts}
    page = [trade(3, None), closed, {**closed, "id": "1", "own": False, "parts": PARTS}]
    return httpx.Response(200, json={"trades": page, "next_page_token": ""})


def test_costs_that_cannot_be_used_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert swept(tmp_path, "bad", "--costs", "slipage=1") == 1
    assert "--costs: slipage: unknown cost" in capsys.readouterr().err
    gone = ("--costs", "journal", "--url", "http://127.0.0.1:9")
    assert swept(tmp_path, "gone", *gone) == 69


def test_doubled_costs_double_slippage_too() -> None:
    bars = trends(1440 * 3, 1)
    window = (int(bars.time[0]), int(bars.time[-1]) + 60)
    base = plan(0)
    fold = Fold(train_from=window[0], train_to=window[0], test_from=window[0], test_to=window[1])
    job = Job(
        instrument="EUR_USD", bars=bars, market=MARKET, grid=base.grid, folds=(fold,), seed=1,
        costs=Costs(slippage_bps=0.5),
    )  # fmt: skip
    by_hand = TapeBacktest("EUR_USD", with_costs(bars, 2.0), MARKET, Costs(slippage_bps=1.0))
    expected = by_hand.run(base.grid[0], with_equity=False).trades["ret"].sum()
    assert run_doubled_costs(job, 0) == pytest.approx(float(expected))
