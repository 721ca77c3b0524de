"""The synthetic market contains what the strategy needs: lasting trends among noise.

The kernel and the backtest are implemented again here, so that the test does not depend on the
code that the market serves to test.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from sep_fx.sessions import MarketCalendar
from sep_paper_broker.market.alignment import CandleGrid
from sep_paper_broker.market.candles import Candles
from sep_paper_broker.market.market import ticks_between
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.synthetic import SyntheticMarket

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PAIRS = ["EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF"]
START = parse_rfc3339("2025-06-17T00:00:00Z") // NS_PER_SECOND
BAR, LOOKBACK, WINDOW, SLOPE = 5, 6, 64, 12


@dataclass
class Outcome:
    trades: int
    pnl: float
    drawdown: float
    coherent: Bools

    @property
    def calmar(self) -> float:
        return self.pnl / self.drawdown if self.drawdown else 100.0


def entropy(*shares: Floats) -> Floats:
    total = sum(-q * np.log2(np.where(q > 0, q, 1)) for q in shares)
    clipped: Floats = np.clip(total / np.log2(3), 0.05, 1)
    return clipped


def windows(mid: Floats) -> tuple[Floats, ...]:
    """Coherence, entropy, rupture and sigma of every bar; NaN where undefined."""
    step, trend = np.zeros(len(mid)), np.zeros(len(mid))
    step[1:], trend[LOOKBACK:] = np.diff(mid), mid[LOOKBACK:] - mid[:-LOOKBACK]
    step[np.abs(step) < 1e-9] = 0
    bits = np.lib.stride_tricks.sliding_window_view(
        (step * trend < 0)[LOOKBACK:].astype(float), WINDOW
    )
    events = bits[:, :-1] + bits[:, 1:]
    null, flip, rupture = ((events == n).mean(axis=1) for n in (0, 1, 2))
    h = entropy(null, flip, rupture)
    damping = 0.5 * entropy(*((events[:, :19] == n).mean(axis=1) for n in (0, 1, 2)))
    weights = np.exp(-np.clip(damping, 0.01, 1)[:, None] * np.arange(1, WINDOW))
    path = np.cumsum((bits[:, 1:] - bits[:, :1]) * weights, axis=1)
    path = np.concatenate([bits[:, :1], path], axis=1)
    pattern = np.clip(0.6 * (1 - h) + 0.3 * (1 - rupture) + 0.1 * (1 - flip), 0.01, 0.99)
    c = 0.7 * pattern + 0.3 / (1 + path.var(axis=1))
    end = np.abs(path[:, -1])
    c = np.clip(np.where(end < 2, c / (1 + 0.1 * end), c), 0, 1)
    returns = np.diff(np.log(mid))
    sigma = np.lib.stride_tricks.sliding_window_view(returns, WINDOW).std(axis=1)
    ahead = np.full(LOOKBACK + WINDOW - 1, np.nan)
    columns = [np.concatenate([ahead, column]) for column in (c, h, rupture)]
    return *columns, np.concatenate([np.full(WINDOW, np.nan), sigma])


def trade(market: SyntheticMarket, pair: str) -> Outcome:
    """A day of five-second bars through the strategy at its defaults, sessions off."""
    candles = Candles.of(
        ticks_between(market, pair, START, START + 86_400), CandleGrid(Granularity.S5)
    )
    points = 10 ** market.instruments[pair].display_precision
    bid, ask = candles.bid / points, candles.ask / points
    mid = (bid[3] + ask[3]) / 2
    c, h, r, sigma = windows(mid)
    entry = exit_ = None
    position = None
    left, peak, drawdown, realized, trades = -np.inf, 0.0, 0.0, 0.0, 0
    for i, start in enumerate(candles.start):
        if entry is not None:
            side, distance = entry
            price = ask[0, i] if side > 0 else bid[0, i]
            position = (side, price, start, price - side * distance, price + 1.5 * side * distance)
            entry = None
        fill = None
        if position is not None:
            side, opened, _, stop, target = position
            o, high, low, _ = (bid if side > 0 else ask)[:, i] * side
            stop, target = stop * side, target * side
            worst, best = min(high, low), max(high, low)
            if exit_:
                fill = o
            elif worst <= stop:
                fill = min(stop, o)
            elif best >= target:
                fill = max(target, o)
            if fill is not None:
                realized += side * (fill * side / opened - 1)
                trades, left, position = trades + 1, start, None
        exit_ = False
        if i >= LOOKBACK + WINDOW + SLOPE:
            slope = 1e4 * (mid[i] / mid[i - SLOPE] - 1)
            turned = abs(slope) >= 2.0 and c[i] >= c[i - SLOPE]
            direction = int(np.sign(slope)) if turned else 0
            broken = r[i] > 0.6
            end = start + BAR
            if position is not None:
                exit_ = end - position[2] >= 60 and (direction == -position[0] or broken)
            elif direction and not broken and c[i] >= 0.55 and h[i] <= 0.75:
                spread = ask[3, i] - bid[3, i]
                distance = 1.5 * sigma[i] * np.sqrt(60) * mid[i]
                rested = end - left >= 60
                if rested and 1e4 * spread / mid[i] <= 3 and distance >= 3 * spread:
                    entry = (direction, distance)
        open_return = 0.0
        if position is not None:
            side, opened = position[:2]
            closing = bid[3, i] if side > 0 else ask[3, i]
            open_return = side * (closing / opened - 1)
        peak = max(peak, realized + open_return)
        drawdown = max(drawdown, peak - realized - open_return)
    return Outcome(trades, realized, drawdown, (c >= 0.55) & (h <= 0.75))


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    market = SyntheticMarket(7, OpeningHours(MarketCalendar.ALWAYS))
    return {pair: trade(market, pair) for pair in PAIRS}


def test_a_day_has_enough_trades_in_every_pair(outcomes: dict[str, Outcome]) -> None:
    assert min(outcome.trades for outcome in outcomes.values()) >= 15


def test_momentum_pays_in_most_pairs(outcomes: dict[str, Outcome]) -> None:
    paying = [o for o in outcomes.values() if o.pnl > 0 and o.calmar >= 0.165]
    assert len(paying) >= 6


def test_coherence_comes_and_goes(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert 0.1 < outcome.coherent.mean() < 0.65


def test_two_to_five_pairs_are_coherent_at_most_moments(outcomes: dict[str, Outcome]) -> None:
    count = np.sum([outcome.coherent for outcome in outcomes.values()], axis=0)
    assert 2 <= count.mean() <= 5
    assert ((count >= 2) & (count <= 5)).mean() > 0.6
