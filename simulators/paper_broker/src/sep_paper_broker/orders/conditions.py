"""Conditions of the broker and the market for an order, beyond its quote and its margin."""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.orders.reasons import CancelReason, RejectReason


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConditions:
    """How an order deviates from the rules of the simulator. The default deviates in nothing.

    Attributes:
        reject_opening: reject an order that would open a trade, for this reason.
        cancel_opening: cancel an order that would open a trade, for this reason.
        oldest_first: cancel the close of a trade that is not the oldest of its instrument.
        liquidity: units available; None for no limit. IOC fills them, FOK is cancelled.
        slippage: price units by which the order fills worse than the quote.
    """

    reject_opening: RejectReason | None = None
    cancel_opening: CancelReason | None = None
    oldest_first: bool = False
    liquidity: Decimal | None = None
    slippage: Decimal = Decimal(0)


NORMAL = OrderConditions()
