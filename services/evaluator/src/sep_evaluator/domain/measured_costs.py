"""The costs that live trades had, from the parts of their results in the journal.

``delay`` and ``slippage`` of the journal are money. Both become slippage in spreads: a trade pays
half a spread twice, so their sum by that of ``half_spread`` is twice the slippage of one fill. The
delay in seconds stays 0, since its price is already in there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sep_evaluator.domain.cost_records import rollovers
from sep_evaluator.domain.costs import Costs, CostTable

_LEAST_TRADES = 10
_MOST_BPS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidTrade:
    """A closed trade of this stack; times in seconds, parts of its result in home currency."""

    instrument: str
    units: float
    open_price: float
    close_price: float
    opened: int
    closed: int
    parts: Mapping[str, float]


def measured_costs(trades: Iterable[PaidTrade]) -> CostTable:
    """The mean costs of each instrument; those of all trades for instruments with fewer than ten.

    Gains by slippage count as none: a mean below 0 is no cost to plan with.

    Raises:
        ValueError: there is no trade to measure.
    """
    by_instrument: dict[str, list[PaidTrade]] = defaultdict(list)
    for trade in trades:
        by_instrument[trade.instrument].append(trade)
    if not by_instrument:
        raise ValueError("the journal has no closed trade of this stack to measure costs from")
    measured = {i: _costs(found) for i, found in by_instrument.items()}
    counts = np.array([len(found) for found in by_instrument.values()], np.float64)

    def mean(name: str) -> float:
        values = [getattr(c, name) for c in measured.values()]
        return float(np.average(values, weights=counts))

    return CostTable(
        default=Costs(
            slippage_spreads=mean("slippage_spreads"),
            financing_long_bps=mean("financing_long_bps"),
            financing_short_bps=mean("financing_short_bps"),
        ),
        by_instrument={
            i: measured[i] for i, found in by_instrument.items() if len(found) >= _LEAST_TRADES
        },
    )


def _costs(trades: list[PaidTrade]) -> Costs:
    slipped = -sum(t.parts["slippage"] + t.parts["delay"] for t in trades)
    spread = -2 * sum(t.parts["half_spread"] for t in trades)
    return Costs(
        slippage_spreads=max(0.0, slipped / spread) if spread > 0 else 0.0,
        financing_long_bps=_financing_bps(trades, 1),
        financing_short_bps=_financing_bps(trades, -1),
    )


def _financing_bps(trades: list[PaidTrade], side: int) -> float:
    """Financing of one side in basis points of the position's value for each rollover."""
    rate = _home_per_quote(trades)
    paid = held = 0.0
    for trade in trades:
        if trade.units * side <= 0:
            continue
        paid -= trade.parts["financing"]
        nights = np.searchsorted(rollovers(), [trade.opened, trade.closed], "right")
        held += abs(trade.units) * trade.open_price * rate * float(nights[1] - nights[0])
    return max(-_MOST_BPS, min(_MOST_BPS, 1e4 * paid / held)) if held > 0 else 0.0


def _home_per_quote(trades: list[PaidTrade]) -> float:
    """Home currency for a unit of the quote currency, as the trades' own results show it."""
    home = sum(
        abs(sum(t.parts[n] for n in ("signal", "half_spread", "delay", "slippage"))) for t in trades
    )
    quote = sum(abs(t.units * (t.close_price - t.open_price)) for t in trades)
    return home / quote if quote > 0 else 0.0
