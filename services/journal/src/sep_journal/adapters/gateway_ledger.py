"""The broker's ledger and account, through the gateway over gRPC."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_kit.grpc.client import call

from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.ledger import (
    NO_CHARGES,
    Charges,
    Closed,
    Opened,
    TradeAmount,
    Transaction,
)

_DEADLINE_S = 30.0
_CHARGES = tuple(Charges.__dataclass_fields__)


class GatewayLedger:
    """Implements ``Ledger``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def page(self, since_id: int, size: int) -> tuple[Sequence[Transaction], int]:
        """At most ``size`` transactions after an id, and the id of the newest of all."""
        response = await call(
            self._stub.ListTransactions,
            gateway_pb2.ListTransactionsRequest(
                since_transaction_id=str(since_id), through_transaction_id=str(since_id + size)
            ),
            peer="gateway",
            deadline_s=_DEADLINE_S,
        )
        found = [transaction_of(message) for message in response.transactions]
        return found, int(response.last_transaction_id or 0)

    async def snapshot(self) -> Snapshot:
        """The account as it is now."""
        response = await call(
            self._stub.GetAccount, gateway_pb2.GetAccountRequest(), peer="gateway"
        )
        return Snapshot(
            ts_ms=int(response.ts_ms),
            balance=Decimal(response.balance),
            nav=Decimal(response.nav),
            margin_used=Decimal(response.margin_used),
            position_value=_decimal(response.position_value),
            last_transaction_id=int(response.last_transaction_id or 0),
        )


def transaction_of(message: gateway_pb2.Transaction) -> Transaction:
    """A transaction. One whose details can't be read keeps what can."""
    opened = message.trade_opened
    numbered = opened.trade_id.isdigit()
    return Transaction(
        id=int(message.id),
        ts_ms=int(message.ts_ms),
        type=message.type,
        reason=message.reason,
        order_id=message.order_id,
        client_order_id=message.client_order_id,
        client_tag=message.client_tag,
        instrument=message.instrument,
        units=_decimal(message.units),
        price=_decimal(message.price),
        account_balance=_decimal(message.account_balance),
        opened=_opened(opened) if numbered else None,
        closed=tuple(_closed(t) for t in message.trades_closed if t.trade_id.isdigit()),
        charges=_charges(message.charges) if message.HasField("charges") else NO_CHARGES,
        trade_amounts=tuple(
            TradeAmount(trade_id=int(share.trade_id), amount=Decimal(share.amount))
            for share in message.trade_amounts
            if share.trade_id.isdigit()
        ),
        trigger_price=_decimal(message.trigger_price),
        trade_id=message.trade_id,
        fault=message.fault,
    )


def _opened(trade: gateway_pb2.TradeOpened) -> Opened:
    return Opened(
        trade_id=int(trade.trade_id),
        units=Decimal(trade.units),
        price=Decimal(trade.price),
        client_tag=trade.client_tag,
        charges=_charges(trade.charges),
    )


def _closed(trade: gateway_pb2.TradeClosed) -> Closed:
    return Closed(
        trade_id=int(trade.trade_id),
        units=Decimal(trade.units),
        price=Decimal(trade.price),
        realized_pl=Decimal(trade.realized_pl),
        charges=_charges(trade.charges),
    )


def _charges(charges: gateway_pb2.Charges) -> Charges:
    return Charges(**{name: _decimal(getattr(charges, name)) for name in _CHARGES})


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None
