"""The paper account's transactions as ledger events of the guard's risk limits."""

from collections.abc import Iterator, Sequence

from sep_fx.instants import NS_PER_MS
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
)
from sep_paper_broker.account.transactions import Transaction, TransferFunds
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import (
    MarketOrderCreated,
    MarketOrderRejected,
    OrderCancel,
)
from sep_paper_broker.orders.reasons import FillReason
from sep_paper_broker.orders.requests import PositionFill

_REASONS = {
    FillReason.STOP_LOSS_ORDER: CloseReason.STOP_LOSS,
    FillReason.TAKE_PROFIT_ORDER: CloseReason.TAKE_PROFIT,
    FillReason.MARKET_ORDER_MARGIN_CLOSEOUT: CloseReason.MARGIN_CLOSEOUT,
}


class LedgerReader:
    """Reads pages of ledger events; every trade of a replay is the stack's own."""

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}

    def page(self, transactions: Sequence[Transaction], through_id: int) -> LedgerPage:
        """The events of transactions, in their order."""
        events = [event for t in transactions for event in self._events(t)]
        return LedgerPage(events=events, through_id=through_id)

    def _events(self, transaction: Transaction) -> Iterator[LedgerEvent]:
        at, ts_ms = int(transaction.id), transaction.time // NS_PER_MS
        body = transaction.body
        if isinstance(body, TransferFunds):
            yield Transfer(transaction_id=at, ts_ms=ts_ms, amount=body.amount)
        elif isinstance(body, OrderFill):
            self._entries.pop(body.order_id, None)
            yield from _fill(body, at, ts_ms)
        elif isinstance(body, MarketOrderCreated):
            if body.position_fill is not PositionFill.REDUCE_ONLY:
                self._entries[transaction.id] = body.instrument
        elif isinstance(body, MarketOrderRejected):
            if body.position_fill is not PositionFill.REDUCE_ONLY:
                yield Refused(
                    transaction_id=at,
                    ts_ms=ts_ms,
                    instrument=body.instrument,
                    reason=body.reject_reason,
                )
        elif isinstance(body, OrderCancel) and body.order_id in self._entries:
            instrument = self._entries.pop(body.order_id)
            yield Refused(transaction_id=at, ts_ms=ts_ms, instrument=instrument, reason=body.reason)


def _fill(body: OrderFill, at: int, ts_ms: int) -> Iterator[LedgerEvent]:
    reason = _REASONS.get(body.reason, CloseReason.OWN_ORDER)
    reduced = () if body.trade_reduced is None else (body.trade_reduced,)
    for trade in (*(body.trades_closed or ()), *reduced):
        yield Closed(
            transaction_id=at,
            ts_ms=ts_ms,
            trade_id=trade.trade_id,
            units=abs(trade.units),
            reason=reason,
        )
    opened = body.trade_opened
    if opened is not None:
        factors = body.gain_quote_home_conversion_factor + body.loss_quote_home_conversion_factor
        yield Opened(
            transaction_id=at,
            ts_ms=ts_ms,
            instrument=body.instrument,
            trade_id=opened.trade_id,
            units=opened.units,
            value=abs(opened.units) * opened.price * factors / 2,
        )
