"""Performance of an account: daily returns without transfers, and the ratios made of them.

A day ends at 17:00 in New York. Its return is ``(nav - transfers) / previous nav - 1``: transfers
count as made at its end, and never as profit. A year has 252 days of returns; Saturdays and Sundays
without a change of the account's value are not counted. Standard deviations are those of a sample;
the downside deviation is the root of the mean square of the negative returns over all days. The
risk-free rate is 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_journal.domain.days import date_of
from sep_journal.domain.exact import ZERO, difference, total

DAYS_A_YEAR = 252
_SATURDAY = 5
_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DayValue:
    """The account's value at the end of a day, and the transfers of the day."""

    end_ms: int
    nav: Decimal
    transfers: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day. ``return_`` is None on the first one, and where nothing was invested before it."""

    end_ms: int
    nav: Decimal
    pl: Decimal
    transfers: Decimal
    return_: float | None
    drawdown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Ratios of a series of daily returns; None where too few days, or no risk, define them."""

    time_weighted_return: float | None
    annual_return: float | None
    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFigures:
    """Results of closed trades; None without any, or without a loss."""

    trades: int
    win_rate: float | None
    profit_factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSums:
    """Sums of closed trades' results; ``lost`` is negative."""

    trades: int = 0
    winners: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO


def days_of(values: Sequence[DayValue]) -> list[Day]:
    """The days with their returns. The first value is what the returns begin from.

    Args:
        values: oldest first.
    """
    found: list[Day] = []
    growth = peak = 1.0
    for index, value in enumerate(values):
        before = values[index - 1].nav if index else None
        gained = difference(value.nav, value.transfers)
        change = None if not before or before < 0 else float(gained / before) - 1
        growth *= 1.0 + (change or 0.0)
        peak = max(peak, growth)
        found.append(
            Day(
                end_ms=value.end_ms,
                nav=value.nav,
                # Before the first day there was nothing: what is not its profit was transferred.
                pl=difference(gained, ZERO if before is None else before),
                transfers=value.transfers,
                return_=change,
                drawdown=growth / peak - 1,
            )
        )
    return found


def returns_of(days: Sequence[Day]) -> list[float]:
    """The returns of the days that count: all but weekend days on which nothing changed."""
    return [
        day.return_
        for day in days
        if day.return_ is not None
        and (day.return_ != 0.0 or date_of(day.end_ms).weekday() < _SATURDAY)
    ]


def ratios_of(returns: Sequence[float]) -> Ratios:
    """The ratios of daily returns, oldest first."""
    if not returns:
        return Ratios(
            time_weighted_return=None,
            annual_return=None,
            max_drawdown=None,
            sharpe=None,
            sortino=None,
            calmar=None,
        )
    growth = math.prod(1 + r for r in returns)
    annual = growth ** (DAYS_A_YEAR / len(returns)) - 1 if growth > 0 else -1.0
    drawdown = _max_drawdown(returns)
    mean = math.fsum(returns) / len(returns)
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / len(returns))
    return Ratios(
        time_weighted_return=growth - 1,
        annual_return=annual,
        max_drawdown=drawdown,
        sharpe=_annual_ratio(mean, _deviation(returns, mean), len(returns)),
        sortino=_annual_ratio(mean, downside, len(returns)),
        calmar=annual / -drawdown if drawdown < 0 else None,
    )


def sum_results(results: Sequence[Decimal]) -> TradeSums:
    """The sums of closed trades' results."""
    return TradeSums(
        trades=len(results),
        winners=sum(1 for result in results if result > 0),
        won=total(result for result in results if result > 0),
        lost=total(result for result in results if result < 0),
    )


def add_sums(parts: Sequence[TradeSums]) -> TradeSums:
    """The sums of several days."""
    return TradeSums(
        trades=sum(part.trades for part in parts),
        winners=sum(part.winners for part in parts),
        won=total(part.won for part in parts),
        lost=total(part.lost for part in parts),
    )


def trade_figures(sums: TradeSums) -> TradeFigures:
    """Share of winners, and profits over losses, of closed trades."""
    return TradeFigures(
        trades=sums.trades,
        win_rate=sums.winners / sums.trades if sums.trades else None,
        profit_factor=float(sums.won / -sums.lost) if sums.lost else None,
    )


def _deviation(returns: Sequence[float], mean: float) -> float:
    if len(returns) < _FEWEST:
        return 0.0
    return math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (len(returns) - 1))


def _annual_ratio(mean: float, deviation: float, count: int) -> float | None:
    # Rounding leaves a trace of a deviation in a series that has none.
    if count < _FEWEST or deviation <= abs(mean) * 1e-12:
        return None
    return mean / deviation * math.sqrt(DAYS_A_YEAR)


def _max_drawdown(returns: Sequence[float]) -> float:
    growth = peak = 1.0
    deepest = 0.0
    for r in returns:
        growth *= 1 + r
        peak = max(peak, growth)
        deepest = min(deepest, growth / peak - 1)
    return deepest
