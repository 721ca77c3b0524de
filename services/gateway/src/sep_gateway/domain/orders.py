"""Market orders, closes, stops of trades, and their results."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrder:
    """A market order. Units are signed; a price is None when not requested.

    ``client_order_id`` is the idempotency key; the broker stores it with the order.
    """

    client_order_id: str
    instrument: str
    units: Decimal
    reduce_only: bool = False
    stop_loss_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    price_bound: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Under which fencing token an order was decided, and when in ms; 0 where it is not known."""

    token: int = 0
    at_ms: float = 0


@dataclass(frozen=True, slots=True)
class PositionClose:
    """A request to close one whole side of a position; the key is as in ``MarketOrder``."""

    client_order_id: str
    instrument: str
    long: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeClose:
    """A request to close a trade, or ``units`` of it (above 0); the key may be empty without."""

    trade_id: int
    units: Decimal | None = None
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStop:
    """A request to give a trade a stop loss; the id names the decision behind it."""

    trade_id: int
    price: Decimal
    client_order_id: str


class OrderState(Enum):
    """Outcome of an order.

    UNKNOWN: it may or may not have been executed. NOT_FOUND: the broker never received it.
    """

    FILLED = auto()
    CANCELLED = auto()
    REJECTED = auto()
    UNKNOWN = auto()
    NOT_FOUND = auto()
    PENDING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """``reason`` is the broker's reason for a cancel or reject, or why the outcome is unknown.

    ``transaction_id`` is that of the fill, cancel or reject, ``last_transaction_id`` the newest in
    the broker's answer; 0 when not known. ``message`` holds the broker's own words, if any.
    ``realized_pl`` is what a fill that closed or reduced trades won or lost, in home currency.
    """

    client_order_id: str
    state: OrderState
    reason: str = ""
    filled_units: Decimal = Decimal(0)
    fill_price: Decimal | None = None
    transaction_id: int = 0
    message: str = ""
    last_transaction_id: int = 0
    realized_pl: Decimal | None = None
