"""How an order's units fall on the open trades: oldest first, the rest opens a new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.account.trades import ZERO, Trade
from sep_paper_broker.orders.reasons import CancelReason
from sep_paper_broker.orders.requests import PositionFill, TimeInForce


@dataclass(frozen=True, slots=True)
class Reduction:
    """Units, with the order's sign, that come off a trade."""

    trade: Trade
    units: Decimal


@dataclass(frozen=True, slots=True)
class FillPlan:
    """What a fill does: reductions in order, then units that open a new trade."""

    reductions: tuple[Reduction, ...]
    opened: Decimal = ZERO

    @property
    def units(self) -> Decimal:
        """All units of the fill, with their sign."""
        return sum((r.units for r in self.reductions), self.opened)


def plan_fill(
    trades: Sequence[Trade],
    units: Decimal,
    position_fill: PositionFill,
    time_in_force: TimeInForce,
) -> FillPlan | CancelReason:
    """Lay an order over an instrument's open trades.

    The account is netting: an order first takes from trades of the other side, in the order
    in which they were opened. ``OPEN_ONLY`` against an opposite position can't be filled
    (FIFO_VIOLATION). ``REDUCE_ONLY`` never opens: what is more than the position is left
    unfilled by an IOC order and kills an FOK order (TIME_IN_FORCE_EXPIRED).

    Args:
        trades: the instrument's open trades, oldest first.
        units: not zero.
    """
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
