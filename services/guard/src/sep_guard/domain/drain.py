"""Drain: the exposure over the cap to close, managed and manual."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from sep_fx.instrument import Instrument

from sep_guard.domain.budget import Budget
from sep_guard.domain.market import ZERO, Account, Market


class DrainReason(StrEnum):
    """Why a position is closed: the cap that is exceeded, or a flatten."""

    OVER_INSTRUMENT_CAP = "OVER_INSTRUMENT_CAP"
    OVER_TOTAL_CAP = "OVER_TOTAL_CAP"
    FLATTEN = "FLATTEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """``buffer``: excess over a cap that is tolerated, as a fraction of the cap.
    ``min_units``: smaller closes are left out."""

    buffer: Decimal
    min_units: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Units to close of a position; ``current`` is signed, ``units`` above 0.

    ``include_manual`` means that trades opened by hand are closed too, after the stack's own.
    """

    instrument: str
    current: Decimal
    units: Decimal
    margin_freed: Decimal
    reason: DrainReason
    include_manual: bool = True

    @property
    def order(self) -> Decimal:
        """The signed units of the order that closes them."""
        return -self.units if self.current > 0 else self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPlan:
    """Margin in home currency, and closes by size, the largest position first."""

    margin_used: Decimal
    cap: Decimal
    excess: Decimal
    closes: tuple[Close, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """A position that can be sized: it has units and a price."""

    instrument: Instrument
    units: Decimal
    margin: Decimal


def plan_drain(
    account: Account, markets: Iterable[Market], budget: Budget, limits: DrainLimits
) -> DrainPlan:
    """Close each instrument down to its cap, then the largest until the total is at its cap.

    A cap counts as exceeded only beyond the buffer; the excess is then closed down to the cap
    itself. An instrument without a price can't be sized and is left to the next plan. With
    the budget of ``drain_budget_of`` a plan never closes too little, and at most slightly too
    much.
    """
    positions = _positions(markets)
    freed, reasons = _margin_to_free(positions, account.margin_used, budget, limits.buffer)
    closes = []
    for position in positions:
        name = position.instrument.name
        if name not in reasons:
            continue
        units = _units(position, freed[name])
        if units >= limits.min_units and units > 0:
            margin = position.margin * units / abs(position.units)
            closes.append(
                Close(
                    instrument=name,
                    current=position.units,
                    units=units,
                    margin_freed=margin,
                    reason=reasons[name],
                )
            )
    return DrainPlan(
        margin_used=account.margin_used,
        cap=budget.total,
        excess=max(ZERO, account.margin_used - budget.total),
        closes=tuple(closes),
    )


def _positions(markets: Iterable[Market]) -> list[_Position]:
    """Positions with a price, the largest margin first."""
    found = [
        _Position(instrument=m.instrument, units=units, margin=abs(units) * per_unit)
        for m in markets
        if (units := m.holding.total) and (per_unit := m.margin_per_unit)
    ]
    return sorted(found, key=lambda p: (-p.margin, p.instrument.name))


def _margin_to_free(
    positions: list[_Position], margin_used: Decimal, budget: Budget, buffer: Decimal
) -> tuple[dict[str, Decimal], dict[str, DrainReason]]:
    """Margin to free and the cap that is exceeded, by instrument."""
    freed = {p.instrument.name: ZERO for p in positions}
    reasons: dict[str, DrainReason] = {}
    for position in positions:
        name = position.instrument.name
        if position.margin > budget.per_instrument * (1 + buffer):
            freed[name] = position.margin - budget.per_instrument
            reasons[name] = DrainReason.OVER_INSTRUMENT_CAP
    left = margin_used - sum(freed.values(), ZERO)
    if left > budget.total * (1 + buffer):
        missing = left - budget.total
        for position in positions:
            name = position.instrument.name
            more = min(missing, position.margin - freed[name])
            if more > 0:
                freed[name] += more
                missing -= more
                reasons.setdefault(name, DrainReason.OVER_TOTAL_CAP)
    return freed, reasons


def _units(position: _Position, to_free: Decimal) -> Decimal:
    """Units that free at least the margin: rounded up, at most what is held."""
    exact = abs(position.units) * to_free / position.margin
    step = Decimal(1).scaleb(-position.instrument.trade_units_precision)
    return min(abs(position.units), exact.quantize(step, ROUND_UP))
