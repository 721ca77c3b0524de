"""Performance and costs of a range."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_kit.clock import Clock, now_ms

from sep_journal.domain.costs import CostGroup, GroupBy, group_costs
from sep_journal.domain.exact import ZERO, total
from sep_journal.domain.performance import (
    Day,
    Ratios,
    TradeFigures,
    days_of,
    ratios_of,
    returns_of,
    trade_figures,
)
from sep_journal.ports import JournalReader, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Performance of a range; ``net_pl`` and ``transfers`` are the sums of its days."""

    days: Sequence[Day]
    net_pl: Decimal
    transfers: Decimal
    ratios: Ratios
    figures: TradeFigures
    exposure: float | None
    time_in_market: float | None


class Reports:
    """Computes reports from the journal."""

    def __init__(self, journal: JournalReader, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    async def performance(self, times: Range) -> Performance:
        """The performance of a range, up to now at most."""
        now = now_ms(self._clock)
        history = await self._journal.history(times, now)
        days = days_of(history.values)
        # The value before the range is only the base of its first return.
        inside = [d for d in days if times.since_ms is None or d.end_ms > times.since_ms]
        until = min(now, now if times.until_ms is None else times.until_ms)
        opened = until if history.first_open_ms is None else history.first_open_ms
        lasted = until - (opened if times.since_ms is None else times.since_ms)
        return Performance(
            days=inside,
            net_pl=total(day.pl for day in inside) if inside else ZERO,
            transfers=total(day.transfers for day in inside),
            ratios=ratios_of(returns_of(inside)),
            figures=trade_figures(history.sums),
            exposure=history.exposure,
            time_in_market=history.in_market_ms / lasted if lasted > 0 else None,
        )

    async def costs(self, times: Range, instrument: str, by: GroupBy) -> list[CostGroup]:
        """The costs of the trades that were opened in a range."""
        return group_costs(await self._journal.costs(times, instrument), by)
