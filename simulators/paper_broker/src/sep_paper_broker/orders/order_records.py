"""Transaction bodies of orders, with the fields of the broker's API."""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.orders.reasons import (
    CancelReason,
    DependentOrderReason,
    MarketOrderReason,
    RejectReason,
)
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TriggerCondition,
)


@dataclass(frozen=True, slots=True)
class TradeClose:
    """The trade that a market order closes, and how many units."""

    trade_id: str
    units: str
    client_trade_id: str | None = None


@dataclass(frozen=True, slots=True)
class PositionCloseout:
    """The position that a market order closes, and how many units."""

    instrument: str
    units: str


@dataclass(frozen=True, slots=True)
class MarginCloseout:
    """Marks a market order of a margin closeout."""

    reason: str = "MARGIN_CHECK_VIOLATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderTerms:
    """The common fields of a market order transaction and its reject."""

    instrument: str
    units: Decimal
    time_in_force: TimeInForce
    position_fill: PositionFill
    reason: MarketOrderReason
    price_bound: Decimal | None = None
    trade_close: TradeClose | None = None
    long_position_closeout: PositionCloseout | None = None
    short_position_closeout: PositionCloseout | None = None
    margin_closeout: MarginCloseout | None = None
    client_extensions: ClientExtensions | None = None
    take_profit_on_fill: TakeProfitDetails | None = None
    stop_loss_on_fill: StopLossDetails | None = None
    trade_client_extensions: ClientExtensions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderCreated(MarketOrderTerms):
    """A market order was accepted; it may still be cancelled."""

    type: str = "MARKET_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderRejected(MarketOrderTerms):
    """A market order was rejected."""

    reject_reason: RejectReason
    type: str = "MARKET_ORDER_REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossTerms:
    """The common fields of a stop loss transaction and its reject."""

    trade_id: str
    reason: DependentOrderReason
    price: Decimal | None = None
    distance: Decimal | None = None
    client_trade_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_condition: TriggerCondition = TriggerCondition.DEFAULT
    guaranteed: bool = False
    client_extensions: ClientExtensions | None = None
    order_fill_transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossCreated(StopLossTerms):
    """A stop loss was attached to a trade."""

    replaces_order_id: str | None = None
    cancelling_transaction_id: str | None = None
    type: str = "STOP_LOSS_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossRejected(StopLossTerms):
    """A stop loss was rejected."""

    reject_reason: RejectReason
    type: str = "STOP_LOSS_ORDER_REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitTerms:
    """The common fields of a take profit transaction and its reject."""

    trade_id: str
    price: Decimal
    reason: DependentOrderReason
    client_trade_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_condition: TriggerCondition = TriggerCondition.DEFAULT
    client_extensions: ClientExtensions | None = None
    order_fill_transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitCreated(TakeProfitTerms):
    """A take profit was attached to a trade."""

    replaces_order_id: str | None = None
    cancelling_transaction_id: str | None = None
    type: str = "TAKE_PROFIT_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitRejected(TakeProfitTerms):
    """A take profit was rejected."""

    reject_reason: RejectReason
    type: str = "TAKE_PROFIT_ORDER_REJECT"


@dataclass(frozen=True, slots=True)
class OrderCancel:
    """An order was cancelled."""

    order_id: str
    reason: CancelReason
    client_order_id: str | None = None
    replaced_by_order_id: str | None = None
    type: str = "ORDER_CANCEL"


@dataclass(frozen=True, slots=True)
class OrderCancelReject:
    """A cancellation was rejected."""

    reject_reason: RejectReason
    order_id: str | None = None
    client_order_id: str | None = None
    type: str = "ORDER_CANCEL_REJECT"


@dataclass(frozen=True, slots=True)
class OrderClientExtensionsModify:
    """An order's client extensions were changed."""

    order_id: str
    client_order_id: str | None = None
    client_extensions_modify: ClientExtensions | None = None
    trade_client_extensions_modify: ClientExtensions | None = None
    type: str = "ORDER_CLIENT_EXTENSIONS_MODIFY"


@dataclass(frozen=True, slots=True)
class OrderClientExtensionsModifyReject:
    """A change of an order's client extensions was rejected."""

    reject_reason: RejectReason
    order_id: str | None = None
    client_order_id: str | None = None
    client_extensions_modify: ClientExtensions | None = None
    trade_client_extensions_modify: ClientExtensions | None = None
    type: str = "ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT"


@dataclass(frozen=True, slots=True)
class TradeClientExtensionsModify:
    """A trade's client extensions were changed."""

    trade_id: str
    client_trade_id: str | None = None
    trade_client_extensions_modify: ClientExtensions | None = None
    type: str = "TRADE_CLIENT_EXTENSIONS_MODIFY"


@dataclass(frozen=True, slots=True)
class TradeClientExtensionsModifyReject:
    """A change of a trade's client extensions was rejected."""

    reject_reason: RejectReason
    trade_id: str | None = None
    client_trade_id: str | None = None
    trade_client_extensions_modify: ClientExtensions | None = None
    type: str = "TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT"
