"""Market orders and what becomes of them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class MarketOrder:
    """An order to trade now. Units are signed; prices are None where none was asked for.

    ``client_order_id`` is the idempotency key that the broker keeps with the order.
    """

    client_order_id: str
    instrument: str
    units: Decimal
    reduce_only: bool
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    price_bound: Decimal | None


@dataclass(frozen=True, slots=True)
class PositionClose:
    """The whole of one side of a position is to go; the key is an order's, as above."""

    client_order_id: str
    instrument: str
    long: bool


class OrderState(Enum):
    """What became of an order, as far as it can be known."""

    FILLED = auto()
    CANCELLED = auto()
    REJECTED = auto()
    UNKNOWN = auto()
    NOT_FOUND = auto()
    PENDING = auto()


@dataclass(frozen=True, slots=True)
class OrderResult:
    """``reason`` is the broker's stable name of a cancel or reject, or why nothing is known.

    ``transaction_id`` is that of the fill, cancel or reject; 0 when not known.
    """

    client_order_id: str
    state: OrderState
    reason: str = ""
    filled_units: Decimal = Decimal(0)
    fill_price: Decimal | None = None
    transaction_id: int = 0
