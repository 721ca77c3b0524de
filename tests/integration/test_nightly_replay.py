"""The journal's nightly comparison runs the real ``sep-replay`` on the stack's real Valkey."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from sep_fx.granularity import Granularity
from sep_fx.instants import parse_rfc3339
from sep_journal.adapters.replay_process import ReplayProcess
from sep_journal.divergence_ports import LiveDay, ReplayError
from sep_kit.store.candles import Candle, CandleColumns, CandleStore
from sep_kit.store.connection import open_valkey
from sep_testing.valkey import ValkeyServer

PROGRAM = Path(sys.executable).with_name("sep-replay")
END_MS = parse_rfc3339("2026-03-03T22:00:00Z") // 10**6
START_MS = END_MS - 86_400_000
HAND = {
    "id": "7",
    "instrument": "EUR_USD",
    "units": "1000",
    "open_units": "0",
    "open_time": START_MS + 60_000,
    "close_time": START_MS + 120_000,
    "open_price": "1.10000",
    "close_price": "1.10100",
    "net_pl": "1",
    "decision_ids": [],
    "exit": "MARKET_ORDER_TRADE_CLOSE",
    "own": False,
}


def a_day() -> LiveDay:
    return LiveDay(
        start_ms=START_MS, end_ms=END_MS, balance=Decimal(1000), trades=[HAND], decisions=[]
    )


def a_candle(time: int) -> Candle:
    bid, ask = Decimal("1.10000"), Decimal("1.10010")
    return Candle(time, (bid,) * 4 + (ask,) * 4, 9)


@pytest.mark.skipif(not PROGRAM.is_file(), reason="NO sep-replay BESIDE THIS PYTHON")
async def test_a_trade_by_hand_is_found_and_a_day_without_candles_is_named(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"VALKEY_URL": valkey.url, "HOTBAND_PAIRS": "EUR_USD"}.items():
        monkeypatch.setenv(name, value)
    replay = ReplayProcess(str(PROGRAM))
    with pytest.raises(ReplayError, match="no candle of the day"):
        await replay.compare(a_day())
    store = open_valkey(valkey.url)
    candles = [a_candle(START_MS // 1000 + minute * 60) for minute in range(30)]
    await CandleStore(store).write("EUR_USD", Granularity.M1, CandleColumns.of(candles))
    await store.aclose()
    day = await replay.compare(a_day())
    assert (day.live_trades, day.replay_trades) == (1, 0)
    assert day.by_cause()["operator"] == (1, Decimal(1))
    assert day.differences[0].trade_id == "7"
