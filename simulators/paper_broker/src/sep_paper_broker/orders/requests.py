"""Parsed requests of a client."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class TimeInForce(StrEnum):
    """How long an order stays open."""

    GTC = "GTC"
    GTD = "GTD"
    GFD = "GFD"
    FOK = "FOK"
    IOC = "IOC"


class PositionFill(StrEnum):
    """What an order may do to the position."""

    DEFAULT = "DEFAULT"
    OPEN_ONLY = "OPEN_ONLY"
    REDUCE_FIRST = "REDUCE_FIRST"
    REDUCE_ONLY = "REDUCE_ONLY"


class TriggerCondition(StrEnum):
    """Which side of the price triggers a dependent order."""

    DEFAULT = "DEFAULT"
    INVERSE = "INVERSE"
    BID = "BID"
    ASK = "ASK"
    MID = "MID"


@dataclass(frozen=True, slots=True)
class ClientExtensions:
    """Id, tag and comment set by the client, at most 128 characters each."""

    id: str | None = None
    tag: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class TakeProfitDetails:
    """Parameters of a take profit."""

    price: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC
    client_extensions: ClientExtensions | None = None


@dataclass(frozen=True, slots=True)
class StopLossDetails:
    """Parameters of a stop loss: a price, or a distance from the trade's price."""

    price: Decimal | None = None
    distance: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_extensions: ClientExtensions | None = None
    guaranteed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrderRequest:
    """A market order. Units are positive to buy, negative to sell."""

    instrument: str
    units: Decimal
    time_in_force: TimeInForce = TimeInForce.FOK
    price_bound: Decimal | None = None
    position_fill: PositionFill = PositionFill.DEFAULT
    client_extensions: ClientExtensions | None = None
    take_profit_on_fill: TakeProfitDetails | None = None
    stop_loss_on_fill: StopLossDetails | None = None
    trade_client_extensions: ClientExtensions | None = None

    @property
    def client_id(self) -> str | None:
        """The client id of the order: its idempotency key."""
        return self.client_extensions.id if self.client_extensions else None


class CloseAmount(StrEnum):
    """Words that replace a number of units to close."""

    ALL = "ALL"
    NONE = "NONE"


CloseUnits = CloseAmount | Decimal


@dataclass(frozen=True, slots=True)
class SideClose:
    """The units of a position's side to close, and the client extensions of the order."""

    units: CloseUnits = CloseAmount.NONE
    client_extensions: ClientExtensions | None = None


@dataclass(frozen=True, slots=True)
class TradeOrdersRequest:
    """A change of a trade's dependent orders.

    A field that is in ``given`` and None cancels the existing order; a field that is not in
    ``given`` leaves it unchanged.
    """

    given: frozenset[str]
    take_profit: TakeProfitDetails | None = None
    stop_loss: StopLossDetails | None = None
