"""Allocation of an order's units: first to opposite trades, oldest first, then to a new trade."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.account.trades import ZERO, Trade
from sep_paper_broker.orders.reasons import CancelReason
from sep_paper_broker.orders.requests import PositionFill, TimeInForce


@dataclass(frozen=True, slots=True)
class Reduction:
    """Units that reduce a trade, with the sign of the order."""

    trade: Trade
    units: Decimal


@dataclass(frozen=True, slots=True)
class FillPlan:
    """The effect of a fill: reductions in order, and the units of the trade it opens."""

    reductions: tuple[Reduction, ...]
    opened: Decimal = ZERO

    @property
    def units(self) -> Decimal:
        """The signed total units of the fill."""
        return sum((r.units for r in self.reductions), self.opened)

    def limited_to(self, units: Decimal) -> "FillPlan":
        """The first ``units`` (unsigned) of the plan: reductions in order, then the new trade."""
        reductions: list[Reduction] = []
        for reduction in self.reductions:
            taken = min(units, abs(reduction.units))
            if taken:
                signed = taken if reduction.units > 0 else -taken
                reductions.append(Reduction(reduction.trade, signed))
            units -= taken
        opened = min(units, abs(self.opened))
        return FillPlan(tuple(reductions), opened if self.opened > 0 else -opened)


def plan_fill(
    trades: Sequence[Trade],
    units: Decimal,
    position_fill: PositionFill,
    time_in_force: TimeInForce,
    *,
    hedging: bool = False,
) -> FillPlan | CancelReason:
    """Allocate an order to an instrument's open trades.

    The account is netting: an order first reduces trades of the opposite side, oldest first.
    ``OPEN_ONLY`` against an opposite position is cancelled (FIFO_VIOLATION). ``REDUCE_ONLY`` never
    opens a trade: of an order larger than the position, IOC fills the position and FOK is
    cancelled (TIME_IN_FORCE_EXPIRED).

    A hedging account holds trades of both sides: ``DEFAULT`` and ``OPEN_ONLY`` open a trade.

    Args:
        trades: the instrument's open trades, oldest first.
        units: not zero.
        hedging: the account has hedging enabled.
    """
    if hedging and position_fill in (PositionFill.DEFAULT, PositionFill.OPEN_ONLY):
        return FillPlan((), units)
    opposite = [trade for trade in trades if (trade.current_units > 0) != (units > 0)]
    if position_fill is PositionFill.OPEN_ONLY:
        return CancelReason.FIFO_VIOLATION if opposite else FillPlan((), units)
    reductions: list[Reduction] = []
    left = units
    for trade in opposite:
        taken = min(abs(left), abs(trade.current_units))
        signed = taken if units > 0 else -taken
        reductions.append(Reduction(trade, signed))
        left -= signed
        if not left:
            break
    if position_fill is not PositionFill.REDUCE_ONLY:
        return FillPlan(tuple(reductions), left)
    if not reductions or (left and time_in_force is not TimeInForce.IOC):
        return CancelReason.TIME_IN_FORCE_EXPIRED
    return FillPlan(tuple(reductions))
