"""Transaction bodies of fills, with the fields of the broker's API."""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.orders.reasons import FillReason
from sep_paper_broker.orders.requests import ClientExtensions


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOpen:
    """The trade opened by a fill."""

    trade_id: str
    units: Decimal
    price: Decimal
    guaranteed_execution_fee: Decimal
    half_spread_cost: Decimal
    initial_margin_required: Decimal
    client_extensions: ClientExtensions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReduce:
    """The reduction of a trade by a fill. Units have the sign of the fill."""

    trade_id: str
    units: Decimal
    price: Decimal
    realized_pl: Decimal
    financing: Decimal
    guaranteed_execution_fee: Decimal
    half_spread_cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLevel:
    """A price and the units available at it."""

    price: Decimal
    liquidity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FullPrice:
    """The quote at which an order was filled."""

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
