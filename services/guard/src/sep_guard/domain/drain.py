"""Drain: which exposure over the cap to close, whoever opened it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from sep_fx.instrument import Instrument

from sep_guard.domain.budget import Budget
from sep_guard.domain.market import ZERO, Account, Market


class DrainReason(StrEnum):
    """Which cap is passed."""

    OVER_INSTRUMENT_CAP = "OVER_INSTRUMENT_CAP"
    OVER_TOTAL_CAP = "OVER_TOTAL_CAP"


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """How far over a cap is let be, as a share of it; closes of fewer units are left out."""

    buffer: Decimal
    min_units: Decimal


@dataclass(frozen=True, slots=True)
class Close:
    """Units to close out of what is held; ``current`` is signed, ``units`` above 0."""

    instrument: str
    current: Decimal
    units: Decimal
    margin_freed: Decimal
    reason: DrainReason

    @property
    def order(self) -> Decimal:
        """The signed order that closes them."""
        return -self.units if self.current > 0 else self.units


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """Margin in home currency; closes from the largest down."""

    margin_used: Decimal
    cap: Decimal
    excess: Decimal
    closes: tuple[Close, ...]


def plan_drain(
    account: Account, markets: Iterable[Market], budget: Budget, limits: DrainLimits
) -> DrainPlan:
    """Close each instrument down to its cap, then the largest until the total is at its own.

    A cap counts as passed only beyond the buffer; what is over is then closed down to
    the cap itself. An instrument without a price can't be sized and is left to the next
    plan. The budget is the one that holds once that is done (``drain_budget_of``), so a plan
    never closes too little, and at most a little too much.
    """
    held = {
        m.instrument.name: (m, units, abs(units) * per_unit)
        for m in markets
        if (units := m.holding.managed + m.holding.manual) and (per_unit := m.margin_per_unit)
    }
    by_size = sorted(held, key=lambda i: (-held[i][2], i))
    freed = dict.fromkeys(by_size, ZERO)
    reasons: dict[str, DrainReason] = {}
    for name in by_size:
        margin = held[name][2]
        if margin > budget.per_instrument * (1 + limits.buffer):
            freed[name] = margin - budget.per_instrument
            reasons[name] = DrainReason.OVER_INSTRUMENT_CAP
    left = account.margin_used - sum(freed.values(), ZERO)
    if left > budget.total * (1 + limits.buffer):
        missing = left - budget.total
        for name in by_size:
            more = min(missing, held[name][2] - freed[name])
            if more > 0:
                freed[name] += more
                missing -= more
                reasons.setdefault(name, DrainReason.OVER_TOTAL_CAP)
    closes = []
    for name in by_size:
        if name in reasons:
            market, units, margin = held[name]
            count = _units(market.instrument, units, margin, freed[name])
            if count >= limits.min_units and count > 0:
                closes.append(Close(name, units, count, margin * count / abs(units), reasons[name]))
    excess = max(ZERO, account.margin_used - budget.total)
    return DrainPlan(account.margin_used, budget.total, excess, tuple(closes))


def _units(instrument: Instrument, units: Decimal, margin: Decimal, to_free: Decimal) -> Decimal:
    """Units that free at least the margin: rounded up, never more than there are."""
    exact = abs(units) * to_free / margin
    step = Decimal(1).scaleb(-instrument.trade_units_precision)
    return min(abs(units), exact.quantize(step, ROUND_UP))
