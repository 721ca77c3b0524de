"""Slices of the long run: their summaries, the Calmar ratio and their consistency."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

SPAN_DAYS = (14, 30, 60, 90)
CALMAR_CAP = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSummary:
    """Result of one slice of a run.

    ``win_rate`` is in [0, 1], 0 without trades; ``pnl_total`` and ``max_drawdown`` are
    in return units of a fixed notional, the drawdown as a positive number.
    """

    trades: int
    wins: int
    win_rate: float
    pnl_total: float
    max_drawdown: float
    calmar: float

    @classmethod
    def of(cls, trades: int, wins: int, pnl_total: float, max_drawdown: float) -> "SpanSummary":
        """Build a summary from counts, profit and drawdown."""
        return cls(
            trades=trades,
            wins=wins,
            win_rate=wins / trades if trades else 0.0,
            pnl_total=pnl_total,
            max_drawdown=max_drawdown,
            calmar=calmar(trades, pnl_total, max_drawdown),
        )


def calmar(trades: int, pnl_total: float, max_drawdown: float) -> float:
    """Profit divided by maximum drawdown, not annualised.

    0 without trades. Capped at 100, which is also the ratio of a gain without any drawdown, so
    that a tiny drawdown never ranks above none.
    """
    if trades == 0:
        return 0.0
    if max_drawdown <= 0.0:
        return CALMAR_CAP if pnl_total > 0.0 else 0.0
    return min(pnl_total / max_drawdown, CALMAR_CAP)


def nesting_faults(spans: Mapping[int, SpanSummary], run: SpanSummary) -> list[str]:
    """Faults that show the slices can't come from one run: a longer slice contains the shorter.

    Args:
        spans: summaries by length in days.
        run: the summary of the whole run.
    """
    lengths = sorted(spans)
    steps = [(f"{days} days", spans[days]) for days in lengths] + [("the whole run", run)]
    return [
        f"{shorter_name} hold {shorter.trades} trades ({shorter.wins} won), "
        f"but {longer_name} {longer.trades} ({longer.wins} won)"
        for (shorter_name, shorter), (longer_name, longer) in pairwise(steps)
        if shorter.trades > longer.trades or shorter.wins > longer.wins
    ]
