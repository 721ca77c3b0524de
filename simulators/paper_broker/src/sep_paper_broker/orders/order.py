"""Orders and their states."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Self

from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import MarginCloseout, PositionCloseout, TradeClose
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TriggerCondition,
)


class OrderState(StrEnum):
    """The state of an order."""

    PENDING = "PENDING"
    FILLED = "FILLED"
    TRIGGERED = "TRIGGERED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFields:
    """The fields of every order. Its id is the id of the transaction that created it."""

    id: str
    create_time: int
    state: OrderState = OrderState.PENDING
    client_extensions: ClientExtensions | None = None
    filling_transaction_id: str | None = None
    filled_time: int | None = None
    trade_opened_id: str | None = None
    trade_reduced_id: str | None = None
    trade_closed_ids: tuple[str, ...] | None = None
    cancelling_transaction_id: str | None = None
    cancelled_time: int | None = None

    @property
    def client_id(self) -> str | None:
        """The client id of the order."""
        return self.client_extensions.id if self.client_extensions else None

    def filled(self, transaction: Transaction, fill: OrderFill) -> Self:
        """The order after its fill."""
        closed = tuple(trade.trade_id for trade in fill.trades_closed or ())
        return replace(
            self,
            state=OrderState.FILLED,
            filling_transaction_id=transaction.id,
            filled_time=transaction.time,
            trade_opened_id=fill.trade_opened.trade_id if fill.trade_opened else None,
            trade_reduced_id=fill.trade_reduced.trade_id if fill.trade_reduced else None,
            trade_closed_ids=closed or None,
        )

    def cancelled(self, transaction: Transaction) -> Self:
        """The order after its cancellation."""
        return replace(
            self,
            state=OrderState.CANCELLED,
            cancelling_transaction_id=transaction.id,
            cancelled_time=transaction.time,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrder(OrderFields):
    """An order for immediate execution."""

    instrument: str
    units: Decimal
    time_in_force: TimeInForce
    position_fill: PositionFill
    price_bound: Decimal | None = None
    trade_close: TradeClose | None = None
    long_position_closeout: PositionCloseout | None = None
    short_position_closeout: PositionCloseout | None = None
    margin_closeout: MarginCloseout | None = None
    take_profit_on_fill: TakeProfitDetails | None = None
    stop_loss_on_fill: StopLossDetails | None = None
    trade_client_extensions: ClientExtensions | None = None
    type: str = "MARKET"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossOrder(OrderFields):
    """Closes a trade when the price moves against it to ``price``."""

    trade_id: str
    price: Decimal
    distance: Decimal | None = None
    client_trade_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_condition: TriggerCondition = TriggerCondition.DEFAULT
    guaranteed: bool = False
    replaces_order_id: str | None = None
    replaced_by_order_id: str | None = None
    type: str = "STOP_LOSS"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitOrder(OrderFields):
    """Closes a trade when the price moves in its favour to ``price``."""

    trade_id: str
    price: Decimal
    client_trade_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_condition: TriggerCondition = TriggerCondition.DEFAULT
    replaces_order_id: str | None = None
    replaced_by_order_id: str | None = None
    type: str = "TAKE_PROFIT"


DependentOrder = StopLossOrder | TakeProfitOrder
Order = MarketOrder | StopLossOrder | TakeProfitOrder
