"""A close of units as closes of trades by id, oldest trade of this stack first."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sep_guard.domain.market import Trade
from sep_guard.domain.sizing import sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Units of one trade to close; signed as the order that closes them.

    ``whole`` means all of the trade, whatever is left of it by then.
    """

    trade_id: str
    held: Decimal
    units: Decimal
    whole: bool


def legs(trades: Iterable[Trade], order: Decimal, *, include_manual: bool) -> tuple[Leg, ...]:
    """The trades that an order of ``order`` signed units closes.

    A trade that was opened by hand is closed only with ``include_manual``, and after the
    stack's own ones. The legs together never close more than the order.
    """
    left, found = abs(order), []
    against = [t for t in trades if sign(t.units) == -sign(order) and (t.own or include_manual)]
    for trade in sorted(against, key=lambda t: not t.own):
        part = min(left, abs(trade.units))
        if part <= 0:
            break
        found.append(
            Leg(
                trade_id=trade.id,
                held=trade.units,
                units=part.copy_sign(order),
                whole=part == abs(trade.units),
            )
        )
        left -= part
    return tuple(found)
