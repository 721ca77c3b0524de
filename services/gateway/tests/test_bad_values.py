"""Invalid prices are quarantined with a reason, never stored and never served."""

from decimal import Decimal
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.granularity import Granularity
from sep_gateway.adapters.oanda import parse
from sep_kit.clock import SystemClock, now_s
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

BAD_PRICES = {
    "zero": "not_positive",
    "crossed": "crossed",
    "not_finite": "not_finite",
    "unparsable": "malformed",
}
BAD_CANDLES = BAD_PRICES | {"high_below_low": "high_below_low"}


async def quarantined(gateway: Any, what: str, instrument: str, reason: str) -> float:
    name = f'sep_{what}_quarantined_total{{instrument="{instrument}",reason="{reason}"}}'
    return float((await gateway.metrics(name)).get(name, 0))


async def fetch(gateway: Any, count: int) -> pb.StoredCandles:
    request = pb.FetchCandlesRequest(instruments=["GBP_JPY"], granularity="M1", count=count)
    response = await call(gateway.stub.FetchCandles, request, peer="gateway", deadline_s=30)
    return response.stored[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("value", "reason"), BAD_CANDLES.items())
async def test_bad_candles_are_quarantined_and_stored_once_corrected(
    gateway: Any, broker: RunningBroker, store: Valkey, value: str, reason: str
) -> None:
    broker.faults.add(
        {"kind": "bad_candles", "value": value, "count": 6, "instrument": "GBP_JPY", "times": 1}
    )
    done = await fetch(gateway, 50)
    # The newest one or two are not complete yet; their prices are not checked.
    assert done.quarantined in (4, 5)
    assert await quarantined(gateway, "candles", "GBP_JPY", reason) == done.quarantined
    candles = await CandleStore(store).read_candles("GBP_JPY", Granularity.M1, 0, 2**40)
    assert len(candles) == done.stored == 50 - done.quarantined
    for candle in candles:
        bid, ask = candle.prices[:4], candle.prices[4:]
        for opens, high, low, close in (bid, ask):
            assert 0 < low <= min(opens, close) <= max(opens, close) <= high
        assert all(b <= a for b, a in zip(bid, ask, strict=True))
    again = await fetch(gateway, 50)
    assert again.quarantined == 0
    assert again.stored >= done.quarantined


@pytest.mark.parametrize(("value", "reason"), BAD_CANDLES.items())
async def test_fetcher_skips_bad_candles_and_continues_after_them(
    start_gateway: Any, broker: RunningBroker, store: Valkey, value: str, reason: str
) -> None:
    broker.faults.add(
        {"kind": "bad_candles", "value": value, "count": 40, "instrument": "EUR_USD", "times": 1}
    )
    async with start_gateway(CANDLE_GRANULARITY="S5") as gateway:

        async def refused() -> bool:
            return await quarantined(gateway, "candles", "EUR_USD", reason) >= 38

        await eventually(refused)

        async def continued() -> Any:
            bars = await CandleStore(store).read_bars("EUR_USD", Granularity.S5, 0)
            newest = now_s(SystemClock()) - 30
            return len(bars) > 100 and bars.time[-1] > newest and bars

        bars = await eventually(continued)
        assert (bars.bid_l > 0).all()
        assert (bars.bid_h >= bars.bid_l).all()
        assert (bars.ask_c >= bars.bid_c).all()


async def served_prices(gateway: Any) -> dict[str, pb.Price]:
    response = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
    return {p.instrument: p for p in response.prices}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("value", "reason"), BAD_PRICES.items())
async def test_bad_price_is_never_served_and_other_instruments_keep_theirs(
    start_gateway: Any, broker: RunningBroker, value: str, reason: str, stream: bool
) -> None:
    if not stream:
        broker.faults.add({"kind": "status", "status": 503, "path": "pricing/stream"})
    async with start_gateway() as gateway:
        await eventually(lambda: served_prices(gateway))
        fault = broker.faults.add({"kind": "bad_prices", "value": value, "instrument": "EUR_USD"})

        async def refused() -> bool:
            """Whether it is served as not tradeable, without prices; otherwise it is valid."""
            prices = await served_prices(gateway)
            yen, euro = prices["USD_JPY"], prices["EUR_USD"]
            assert 0 < Decimal(yen.bid) < Decimal(yen.ask)
            if euro.bid or euro.ask:
                assert 0 < Decimal(euro.bid) < Decimal(euro.ask)
            return not (euro.bid or euro.ask or euro.tradeable)

        await eventually(refused)
        assert await quarantined(gateway, "prices", "EUR_USD", reason) > 0
        assert await quarantined(gateway, "prices", "USD_JPY", reason) == 0
        broker.faults.remove(fault.id)

        async def good() -> bool:
            return not await refused()

        await eventually(good)


@pytest.mark.parametrize("worth", ["0", "-1", "NaN", "x"])
def test_invalid_conversion_rate_is_left_out(worth: str) -> None:
    """Order sizes are divided by it."""
    conversion = {
        "currency": "JPY",
        "accountGain": "0.0066",
        "accountLoss": "0.0066",
        "positionValue": worth,
    }
    pricing = parse.pricing({"prices": [], "homeConversions": [conversion]})
    assert not pricing.conversions
    assert [m.name for m in pricing.left_out] == ["JPY"]
