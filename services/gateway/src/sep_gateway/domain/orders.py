"""Market orders, position closes and their results."""

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


@dataclass(frozen=True, slots=True)
class PositionClose:
    """A request to close one whole side of a position; the key is as in ``MarketOrder``."""

    client_order_id: str
    instrument: str
    long: bool


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


@dataclass(frozen=True, slots=True)
class OrderResult:
    """``reason`` is the broker's reason for a cancel or reject, or why the outcome is unknown.

    ``transaction_id`` is that of the fill, cancel or reject; 0 when not known. ``realized_pl`` is
    what a fill that closed or reduced trades won or lost, in home currency.
    """

    client_order_id: str
    state: OrderState
    reason: str = ""
    filled_units: Decimal = Decimal(0)
    fill_price: Decimal | None = None
    transaction_id: int = 0
    realized_pl: Decimal | None = None
