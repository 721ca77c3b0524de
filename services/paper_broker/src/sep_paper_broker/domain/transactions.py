"""The account's record: one transaction for every change, in the broker's shapes.

A ``Transaction`` is an envelope (who, when, which batch) around a body (what happened);
on the wire the two are one flat object. Cash is in home currency with four decimals.
"""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.domain.reasons import (
    CancelReason,
    DependentOrderReason,
    FillReason,
    MarketOrderReason,
    RejectReason,
)
from sep_paper_broker.domain.requests import (
    ClientExtensions,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TriggerCondition,
)


@dataclass(frozen=True, slots=True)
class TradeClose:
    """That a market order closes a trade, and how much of it."""

    trade_id: str
    units: str
    client_trade_id: str | None = None


@dataclass(frozen=True, slots=True)
class PositionCloseout:
    """That a market order closes a position, and how much of it."""

    instrument: str
    units: str


@dataclass(frozen=True, slots=True)
class MarginCloseout:
    """That a market order was forced by want of margin."""

    reason: str = "MARGIN_CHECK_VIOLATION"


@dataclass(frozen=True, slots=True)
class Create:
    """The account was opened."""

    division_id: int
    site_id: int
    account_user_id: int
    account_number: int
    home_currency: str
    type: str = "CREATE"


@dataclass(frozen=True, slots=True)
class TransferFunds:
    """Cash came in or went out."""

    amount: Decimal
    account_balance: Decimal
    funding_reason: str = "CLIENT_FUNDING"
    type: str = "TRANSFER_FUNDS"


@dataclass(frozen=True, slots=True)
class ClientConfigure:
    """The client changed the account's settings."""

    alias: str | None = None
    margin_rate: Decimal | None = None
    type: str = "CLIENT_CONFIGURE"


@dataclass(frozen=True, slots=True)
class ClientConfigureReject:
    """A change of settings was refused."""

    reject_reason: RejectReason
    alias: str | None = None
    margin_rate: Decimal | None = None
    type: str = "CLIENT_CONFIGURE_REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderTerms:
    """What a market order transaction and its reject have in common."""

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
    """A market order was accepted, which is not to say filled."""

    type: str = "MARKET_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderRejected(MarketOrderTerms):
    """A market order was refused."""

    reject_reason: RejectReason
    type: str = "MARKET_ORDER_REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossTerms:
    """What a stop loss transaction and its reject have in common."""

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
    """A stop loss was refused."""

    reject_reason: RejectReason
    type: str = "STOP_LOSS_ORDER_REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitTerms:
    """What a take profit transaction and its reject have in common."""

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
    """A take profit was refused."""

    reject_reason: RejectReason
    type: str = "TAKE_PROFIT_ORDER_REJECT"


@dataclass(frozen=True, slots=True)
class TradeOpen:
    """The trade that a fill opened."""

    trade_id: str
    units: Decimal
    price: Decimal
    guaranteed_execution_fee: Decimal
    half_spread_cost: Decimal
    initial_margin_required: Decimal
    client_extensions: ClientExtensions | None = None


@dataclass(frozen=True, slots=True)
class TradeReduce:
    """What a fill took off a trade. Units have the sign of the fill."""

    trade_id: str
    units: Decimal
    price: Decimal
    realized_pl: Decimal
    financing: Decimal
    guaranteed_execution_fee: Decimal
    half_spread_cost: Decimal


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """A price and how many units it is good for."""

    price: Decimal
    liquidity: int


@dataclass(frozen=True, slots=True)
class FullPrice:
    """The market as it stood when an order was filled."""

    instrument: str
    time: int
    tradeable: bool
    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]
    closeout_bid: Decimal
    closeout_ask: Decimal
    type: str = "PRICE"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFill:
    """An order was filled."""

    order_id: str
    instrument: str
    units: Decimal
    gain_quote_home_conversion_factor: Decimal
    loss_quote_home_conversion_factor: Decimal
    price: Decimal
    full_vwap: Decimal
    full_price: FullPrice
    reason: FillReason
    pl: Decimal
    financing: Decimal
    commission: Decimal
    guaranteed_execution_fee: Decimal
    account_balance: Decimal
    half_spread_cost: Decimal
    client_order_id: str | None = None
    trade_opened: TradeOpen | None = None
    trades_closed: tuple[TradeReduce, ...] | None = None
    trade_reduced: TradeReduce | None = None
    type: str = "ORDER_FILL"


@dataclass(frozen=True, slots=True)
class OrderCancel:
    """An order ended without a fill."""

    order_id: str
    reason: CancelReason
    client_order_id: str | None = None
    replaced_by_order_id: str | None = None
    type: str = "ORDER_CANCEL"


@dataclass(frozen=True, slots=True)
class OrderCancelReject:
    """A cancellation was refused."""

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
    """A change of an order's client extensions was refused."""

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
    """A change of a trade's client extensions was refused."""

    reject_reason: RejectReason
    trade_id: str | None = None
    client_trade_id: str | None = None
    trade_client_extensions_modify: ClientExtensions | None = None
    type: str = "TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT"


@dataclass(frozen=True, slots=True)
class OpenTradeFinancing:
    """A trade's share of a day's financing."""

    trade_id: str
    financing: Decimal


@dataclass(frozen=True, slots=True)
class PositionFinancing:
    """A position's share of a day's financing."""

    instrument: str
    financing: Decimal
    open_trade_financings: tuple[OpenTradeFinancing, ...]


@dataclass(frozen=True, slots=True)
class DailyFinancing:
    """Interest of one day on all open positions."""

    financing: Decimal
    account_balance: Decimal
    position_financings: tuple[PositionFinancing, ...]
    account_financing_mode: str = "DAILY"
    type: str = "DAILY_FINANCING"


Body = (
    Create
    | TransferFunds
    | ClientConfigure
    | ClientConfigureReject
    | MarketOrderCreated
    | MarketOrderRejected
    | StopLossCreated
    | StopLossRejected
    | TakeProfitCreated
    | TakeProfitRejected
    | OrderFill
    | OrderCancel
    | OrderCancelReject
    | OrderClientExtensionsModify
    | OrderClientExtensionsModifyReject
    | TradeClientExtensionsModify
    | TradeClientExtensionsModifyReject
    | DailyFinancing
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One change of the account.

    ``id`` is the account's own counter as text; ``time`` is in nanoseconds since the epoch;
    ``batch_id`` is the id of the first transaction of the same change.
    """

    id: str
    time: int
    user_id: int
    account_id: str
    batch_id: str
    body: Body
    request_id: str | None = None
