"""Recorded candles as history, continued by the synthetic market."""

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sep_fx.bars import Bars
from sep_fx.candle_csv import read_candle_file
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, format_rfc3339, format_seconds, parse_rfc3339
from sep_fx.sessions import MarketCalendar
from sep_paper_broker.app import read_recordings
from sep_paper_broker.market.alignment import CandleGrid
from sep_paper_broker.market.candles import Candles
from sep_paper_broker.market.market import quote_at, ticks_between
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.recorded import RecordedMarket, anchor_for
from sep_paper_broker.market.synthetic import SyntheticMarket

from .conftest import ManualClock, Serve

FIRST = parse_rfc3339("2014-05-01T00:00:00Z") // NS_PER_SECOND
Recorded = tuple[RecordedMarket, Bars, int]
HEADER = "time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c\n"


def write_candles(
    directory: Path,
    minutes: int = 400,
    level: float = 1.38,
    start: int = FIRST,
    name: str = "EUR_USD_M1_2014-05",
) -> Path:
    """A file of random candles in which every seventh minute is missing."""
    rng = np.random.default_rng(1)
    lines = [HEADER]
    for minute in range(minutes):
        if minute % 7 == 6 and minute < minutes - 1:
            continue
        o, c = level + rng.normal(0, 5e-4, 2)
        high, low = max(o, c) + rng.exponential(2e-4), min(o, c) - rng.exponential(2e-4)
        spreads = rng.uniform(5e-5, 2e-4, 4)
        bid = [o, high, low, c]
        ask = [b + s for b, s in zip(bid, spreads, strict=True)]
        ask[1], ask[2] = max(ask), min(ask)
        time = format_seconds(start + 60 * minute)
        lines.append(",".join([time, *(f"{p:.5f}" for p in bid + ask)]) + "\n")
    path = directory / f"{name}.csv.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


@pytest.fixture
def recorded(tmp_path: Path, clock: ManualClock) -> Recorded:
    bars = read_candle_file(write_candles(tmp_path)).bars
    synthetic = SyntheticMarket(7, OpeningHours(MarketCalendar.ALWAYS))
    anchor = anchor_for(clock() // NS_PER_SECOND)
    return RecordedMarket(synthetic, {"EUR_USD": bars}, anchor), bars, anchor


def test_aggregated_minutes_are_the_files_minutes(recorded: Recorded) -> None:
    market, bars, anchor = recorded
    ticks = ticks_between(market, "EUR_USD", market.begins("EUR_USD"), anchor)
    candles = Candles.of(ticks, CandleGrid(Granularity.M1))
    assert (ticks.bid <= ticks.ask).all()
    assert (np.diff(candles.start) == np.diff(bars.time)).all()
    assert candles.start[-1] + 60 == anchor
    for side, rows in (("bid", candles.bid), ("ask", candles.ask)):
        for letter, row in zip("ohlc", rows, strict=True):
            assert (row == np.rint(getattr(bars, f"{side}_{letter}") * 1e5)).all()


def test_missing_minutes_have_no_ticks(recorded: Recorded) -> None:
    market, bars, _ = recorded
    begins = market.begins("EUR_USD")
    assert not len(ticks_between(market, "EUR_USD", begins - 86_400, begins))
    shift = begins - FIRST
    hole = FIRST + 6 * 60 + shift
    assert FIRST + 6 * 60 not in bars.time
    assert not len(ticks_between(market, "EUR_USD", hole, hole + 60))


def test_live_prices_continue_from_the_last_recorded_one(recorded: Recorded) -> None:
    market, bars, anchor = recorded
    live = quote_at(market, "EUR_USD", (anchor + 5) * NS_PER_SECOND)
    assert live is not None
    assert abs(float(live.mid) / bars.mid[-1] - 1) < 5e-4
    later = quote_at(market, "EUR_USD", (anchor + 3600) * NS_PER_SECOND)
    assert later is not None
    assert later.mid != live.mid


def test_other_instruments_stay_synthetic(recorded: Recorded) -> None:
    market, _, anchor = recorded
    plain = SyntheticMarket(7, OpeningHours(MarketCalendar.ALWAYS))
    hour = anchor // 3600 - 1
    assert (market.hour("USD_JPY", hour).bid == plain.hour("USD_JPY", hour).bid).all()


async def test_restart_keeps_the_history_where_it_was(
    tmp_path: Path, serve: Serve, clock: ManualClock
) -> None:
    directory = tmp_path / "candles"
    directory.mkdir()
    write_candles(directory)
    settings: dict[str, Any] = {"candles_dir": directory, "state": tmp_path / "state.json"}
    path = "/v3/instruments/EUR_USD/candles"
    params: dict[str, Any] = {
        "granularity": "M1",
        "price": "BA",
        "count": 300,
        "to": format_rfc3339(clock()),
    }
    async with serve(**settings) as client:
        clock.move(1)
        before = await client.get(path, **params)
    clock.move(3 * 3600)
    async with serve(**settings) as client:
        assert await client.get(path, **params) == before
        bid, _ = await client.price()
        assert abs(bid - Decimal("1.38")) < Decimal("0.02")


def test_files_that_overlap_are_refused(tmp_path: Path) -> None:
    write_candles(tmp_path, name="EUR_USD_M1_a")
    write_candles(tmp_path, name="EUR_USD_M1_b", start=FIRST + 3600)
    with pytest.raises(ValueError, match="overlap"):
        read_recordings(tmp_path)


def test_files_of_one_instrument_are_joined_in_time_order(tmp_path: Path) -> None:
    write_candles(tmp_path, name="EUR_USD_M1_a", start=FIRST + 86_400)
    write_candles(tmp_path, name="EUR_USD_M1_b")
    bars = read_recordings(tmp_path)["EUR_USD"]
    assert bars.time[0] == FIRST
    assert (np.diff(bars.time) > 0).all()
