"""Conversion of active faults into the conditions of an order."""

from sep_paper_broker.faults.kinds import Fault, FaultKind
from sep_paper_broker.http.context import RouteContext
from sep_paper_broker.orders.conditions import OrderConditions
from sep_paper_broker.orders.reasons import CancelReason, RejectReason


def opening_conditions(
    context: RouteContext, instrument: str, *, guaranteed: bool
) -> OrderConditions:
    """The conditions of an order that may open a trade.

    Args:
        guaranteed: the order asks for a guaranteed stop loss.
    """
    faults = _by_kind(context.faults.take_order_faults(instrument, closing=False))
    reject = cancel = None
    if FaultKind.GUARANTEED_STOP_REQUIRED in faults and not guaranteed:
        reject = RejectReason.STOP_LOSS_ON_FILL_GUARANTEED_REQUIRED
    if instrument in context.broker.delisted:
        reject = RejectReason.INSTRUMENT_NOT_TRADEABLE
    if FaultKind.INSUFFICIENT_MARGIN in faults:
        cancel = CancelReason.INSUFFICIENT_MARGIN
    if FaultKind.FIFO_VIOLATION in faults:
        cancel = CancelReason.FIFO_VIOLATION
    return _conditions(faults, reject, cancel)


def closing_conditions(context: RouteContext, instrument: str) -> OrderConditions:
    """The conditions of a close of a trade or a position."""
    return _conditions(_by_kind(context.faults.take_order_faults(instrument, closing=True)))


def _conditions(
    faults: dict[FaultKind, Fault],
    reject: RejectReason | None = None,
    cancel: CancelReason | None = None,
) -> OrderConditions:
    thin, slip = faults.get(FaultKind.THIN_LIQUIDITY), faults.get(FaultKind.SLIPPAGE)
    normal = OrderConditions()
    return OrderConditions(
        reject_opening=reject,
        cancel_opening=cancel,
        oldest_first=FaultKind.FIFO_VIOLATION in faults,
        liquidity=thin.units if thin else None,
        slippage=slip.distance if slip else normal.slippage,
    )


def _by_kind(faults: tuple[Fault, ...]) -> dict[FaultKind, Fault]:
    """The newest fault of each kind."""
    return {fault.kind: fault for fault in faults}
