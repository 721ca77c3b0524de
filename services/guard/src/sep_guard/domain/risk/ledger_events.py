"""What the risk limits read from the broker's ledger, one value a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class CloseReason(StrEnum):
    """Why a trade was closed or reduced."""

    OWN_ORDER = "OWN_ORDER"
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    MARGIN_CLOSEOUT = "MARGIN_CLOSEOUT"
    BY_HAND = "BY_HAND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Cash moved in (above 0) or out (below 0) of the account, in home currency."""

    transaction_id: int
    ts_ms: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A fill that opened a trade of this stack.

    Attributes:
        trade_id: the broker's id of the trade.
        units: signed units opened.
        value: absolute position value in home currency at the fill price; None where the
            broker gave no conversion.
    """

    transaction_id: int
    ts_ms: int
    instrument: str
    trade_id: str
    units: Decimal
    value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A fill that closed or reduced a trade, of this stack or not.

    Attributes:
        units: absolute units closed.
        reason: why; ``BY_HAND`` for an order that this stack did not send.
    """

    transaction_id: int
    ts_ms: int
    trade_id: str
    units: Decimal
    reason: CloseReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The broker rejected or cancelled an entry of this stack.

    ``reason`` is its code, or the status of its answer; ``message`` is what it said besides.
    """

    transaction_id: int
    ts_ms: int
    instrument: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A fill or transfer that can't be read: until tomorrow no entry can be measured."""

    transaction_id: int
    ts_ms: int
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """A fill that is marked as this stack's and that this stack never claimed."""

    transaction_id: int
    ts_ms: int
    instrument: str
    client_order_id: str


LedgerEvent = Transfer | Opened | Closed | Refused | Unreadable | Unclaimed


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """Events in transaction order, and the newest transaction that the page covers.

    Attributes:
        whole: False where transactions between the last known one and ``through_id`` are
            missing, as right after an order: such a page is read again.
    """

    events: Sequence[LedgerEvent]
    through_id: int
    whole: bool = True
