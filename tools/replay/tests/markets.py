"""Generated tapes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import parse_rfc3339
from sep_fx.sessions import MarketCalendar
from sep_paper_broker.market.alignment import CandleGrid
from sep_paper_broker.market.candles import Candles
from sep_paper_broker.market.instruments import LISTINGS
from sep_paper_broker.market.market import ticks_between
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.synthetic import SyntheticMarket
from sep_replay.tape import Tape

EIGHT = ("EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF")
# A Monday in London's morning.
MONDAY = parse_rfc3339("2026-03-02T08:00:00Z") // 10**9
Floats = npt.NDArray[np.float64]


def market_tape(
    pairs: Sequence[str], granularity: Granularity, hours: float, seed: int, start: int = MONDAY
) -> Tape:
    """The paper broker's generated market: trends and noise, triangles that agree."""
    market = SyntheticMarket(seed, OpeningHours(MarketCalendar.ALWAYS))
    return Tape(
        granularity,
        {pair: _bars_of(market, pair, granularity, start, int(hours * 3600)) for pair in pairs},
    )


def _bars_of(
    market: SyntheticMarket, pair: str, granularity: Granularity, start: int, seconds: int
) -> Bars:
    ticks = ticks_between(market, pair, start, start + seconds)
    candles = Candles.of(ticks, CandleGrid(granularity))
    point = float(10 ** LISTINGS[pair].instrument.display_precision)
    bid, ask = candles.bid / point, candles.ask / point
    return Bars.from_rows(candles.start, np.vstack([bid, ask]), candles.volume)


def path_tape(
    mids: Floats,
    granularity: Granularity = Granularity.M1,
    *,
    pair: str = "EUR_USD",
    spread: Floats | float = 0.00008,
    start: int = MONDAY,
) -> Tape:
    """A market that goes straight from mid to mid; a jump between bars is a gap."""
    half = np.broadcast_to(np.asarray(spread) / 2, len(mids) - 1)
    first, last = mids[:-1], mids[1:]
    high, low = np.maximum(first, last), np.minimum(first, last)
    time = start + granularity.seconds * np.arange(len(first), dtype=np.int64)
    columns = (first, high, low, last)
    bid, ask = ([column + side * half for column in columns] for side in (-1, 1))
    return Tape(
        granularity,
        {pair: Bars.from_rows(time, np.array([*bid, *ask]), np.full(len(time), 9, np.int64))},
    )
