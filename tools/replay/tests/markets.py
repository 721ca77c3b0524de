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


def eight_of(tape: Tape, bars: int) -> Tape:
    """Eight pairs made of two: each as it is, a day later, and both upside down.

    All begin with the first bar of the first, at the level of the pair that they are named after.
    """
    shapes = [
        (own, late, turned) for own in tape.bars.values() for late in (0, 1) for turned in (0, 1)
    ]
    made = {}
    for pair, (own, late, turned) in zip(EIGHT, shapes, strict=True):
        at = late * 86_400 // tape.granularity.seconds
        rows = np.array([getattr(own, f"{side}_{p}") for side in ("bid", "ask") for p in "ohlc"])
        rows = rows[:, at : at + bars]
        if turned:
            # The ask of one direction is the bid of the other, and its high the low.
            rows = 1 / rows[[4, 6, 5, 7, 0, 2, 1, 3]]
        level = 150.0 if pair.endswith("JPY") else 1.2
        digits = LISTINGS[pair].instrument.display_precision
        rows = np.round(rows * level / rows[0, 0], digits)
        made[pair] = Bars.from_rows(own.time[:bars], rows, own.volume[at : at + bars])
    return Tape(tape.granularity, made)
