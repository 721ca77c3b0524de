"""The account's transactions with the fields of the broker's API.

A ``Transaction`` is an envelope (id, time, batch) around a body (what changed); in JSON the two are
one flat object. Amounts of money are in home currency with four decimals.
"""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import (
    MarketOrderCreated,
    MarketOrderRejected,
    OrderCancel,
    OrderCancelReject,
    OrderClientExtensionsModify,
    OrderClientExtensionsModifyReject,
    StopLossCreated,
    StopLossRejected,
    TakeProfitCreated,
    TakeProfitRejected,
    TradeClientExtensionsModify,
    TradeClientExtensionsModifyReject,
)
from sep_paper_broker.orders.reasons import RejectReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """The account was opened."""

    division_id: int
    site_id: int
    account_user_id: int
    account_number: int
    home_currency: str
    type: str = "CREATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFunds:
    """Money was transferred to or from the account."""

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
    """A change of the account's settings was rejected."""

    reject_reason: RejectReason
    alias: str | None = None
    margin_rate: Decimal | None = None
    type: str = "CLIENT_CONFIGURE_REJECT"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyFinancing:
    """Financing of one day on all open positions."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One change of the account.

    ``id`` is the account's transaction counter as text; ``time`` is in nanoseconds since the epoch;
    ``batch_id`` is the id of the first transaction of the same batch.
    """

    id: str
    time: int
    user_id: int
    account_id: str
    batch_id: str
    body: Body
    request_id: str | None = None
