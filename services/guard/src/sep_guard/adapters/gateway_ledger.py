"""The broker's ledger, through the gateway over gRPC, as events of the risk limits."""

from collections.abc import Iterator
from decimal import Decimal

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_kit.grpc.client import call

from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
    Unclaimed,
    Unreadable,
)

OWN_TAG = "sep"
"""Client tag of the trades that this stack opens."""

OWN_ORDER = "sep-"
"""How the client ids of this stack's orders begin."""

# The last: nothing but the id can be read, so it may have been either of the others.
_COUNTED = ("ORDER_FILL", "TRANSFER_FUNDS", "UNREADABLE")
_STOPS = ("STOP_LOSS_ORDER", "GUARANTEED_STOP_LOSS_ORDER", "TRAILING_STOP_LOSS_ORDER")
_CLOSEOUTS = ("MARKET_ORDER_MARGIN_CLOSEOUT", "MARKET_ORDER_DELAYED_TRADE_CLOSE")


class GatewayLedger:
    """Reads pages of the ledger over the gateway's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def page(self, since_id: int, through_id: int) -> LedgerPage:
        """The events between two transactions, the first excluded."""
        response = await call(
            self._stub.ListTransactions,
            gateway_pb2.ListTransactionsRequest(
                since_transaction_id=str(since_id), through_transaction_id=str(through_id)
            ),
            peer="gateway",
        )
        return ledger_page(response, through_id)


def ledger_page(response: gateway_pb2.ListTransactionsResponse, through_id: int) -> LedgerPage:
    """The events of a page, in transaction order."""
    events = [event for transaction in response.transactions for event in _events(transaction)]
    return LedgerPage(events=events, through_id=through_id, whole=response.whole)


def _events(transaction: gateway_pb2.Transaction) -> Iterator[LedgerEvent]:
    at, ts_ms = int(transaction.id), int(transaction.ts_ms)
    if transaction.fault:
        # The other entries are counted; this one stops entries if it may have to be counted.
        if transaction.type in _COUNTED:
            yield Unreadable(transaction_id=at, ts_ms=ts_ms, fault=transaction.fault)
        return
    if transaction.type == "TRANSFER_FUNDS":
        yield Transfer(transaction_id=at, ts_ms=ts_ms, amount=Decimal(transaction.amount))
    elif transaction.type == "ORDER_FILL":
        yield from _fill(transaction, at, ts_ms)
    elif _is_refusal(transaction):
        yield Refused(
            transaction_id=at,
            ts_ms=ts_ms,
            instrument=transaction.instrument,
            reason=transaction.reason,
        )


def _fill(transaction: gateway_pb2.Transaction, at: int, ts_ms: int) -> Iterator[LedgerEvent]:
    by_broker = transaction.reason in (*_STOPS, "TAKE_PROFIT_ORDER", *_CLOSEOUTS)
    if is_marked_as_ours(transaction) and not transaction.own and not by_broker:
        yield Unclaimed(
            transaction_id=at,
            ts_ms=ts_ms,
            instrument=transaction.instrument,
            client_order_id=transaction.client_order_id,
        )
    reason = _close_reason(transaction)
    for trade in transaction.trades_closed:
        yield Closed(
            transaction_id=at,
            ts_ms=ts_ms,
            trade_id=trade.trade_id,
            units=abs(Decimal(trade.units)),
            reason=reason,
        )
    opened = transaction.trade_opened
    if opened.trade_id and opened.client_tag == OWN_TAG:
        yield Opened(
            transaction_id=at,
            ts_ms=ts_ms,
            instrument=transaction.instrument,
            trade_id=opened.trade_id,
            units=Decimal(opened.units),
            value=Decimal(opened.home_value) if opened.home_value else None,
        )


def is_marked_as_ours(transaction: gateway_pb2.Transaction) -> bool:
    """Whether the order behind a fill has the tag or the client id of this stack's orders."""
    tagged: bool = transaction.client_tag == OWN_TAG
    return tagged or transaction.client_order_id.startswith(OWN_ORDER)


def _close_reason(transaction: gateway_pb2.Transaction) -> CloseReason:
    if transaction.reason in _STOPS:
        return CloseReason.STOP_LOSS
    if transaction.reason == "TAKE_PROFIT_ORDER":
        return CloseReason.TAKE_PROFIT
    if transaction.reason in _CLOSEOUTS:
        return CloseReason.MARGIN_CLOSEOUT
    if transaction.own or is_marked_as_ours(transaction):
        return CloseReason.OWN_ORDER
    return CloseReason.BY_HAND


def _is_refusal(transaction: gateway_pb2.Transaction) -> bool:
    """Whether the broker refused one of this stack's entries."""
    refused: bool = transaction.type == "ORDER_CANCEL" or transaction.type.endswith("_ORDER_REJECT")
    own: bool = transaction.client_order_id.startswith(OWN_ORDER)
    return refused and own and bool(transaction.instrument) and not transaction.reduce_only
