"""The kinds of faults and their fields."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class FaultKind(StrEnum):
    """What a fault does; the values are the names in the admin API."""

    LATENCY = "latency"
    STATUS = "status"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HANG = "hang"
    SILENT_STREAM = "silent_stream"
    DUPLICATE_HEARTBEAT = "duplicate_heartbeat"
    MISSING_HEARTBEAT = "missing_heartbeat"
    UNREADABLE_ORDER = "unreadable_order"
    INCOMPLETE_CANDLES = "incomplete_candles"
    MISSING_CANDLES = "missing_candles"
    HALTED = "halted"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    CUT_STREAM = "cut_stream"
    HALF_OPEN_STREAM = "half_open_stream"
    BAD_CANDLES = "bad_candles"
    BAD_PRICES = "bad_prices"
    FIFO_VIOLATION = "fifo_violation"
    GUARANTEED_STOP_REQUIRED = "guaranteed_stop_required"
    THIN_LIQUIDITY = "thin_liquidity"
    SLIPPAGE = "slippage"
    DELISTED = "delisted"
    LOST_STOP = "lost_stop"
    MOVED_STOP = "moved_stop"
    MARGIN_CLOSEOUT = "margin_closeout"
    STALE_VIEWS = "stale_views"
    ODD_MEMBER = "odd_member"


ON_REQUESTS = frozenset(
    {
        FaultKind.LATENCY,
        FaultKind.STATUS,
        FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER,
        FaultKind.HANG,
    }
)
ON_STREAMS = frozenset({FaultKind.SILENT_STREAM, FaultKind.CUT_STREAM, FaultKind.HALF_OPEN_STREAM})
ON_CANDLES = frozenset(
    {FaultKind.MISSING_CANDLES, FaultKind.INCOMPLETE_CANDLES, FaultKind.BAD_CANDLES}
)
# Faults of closing orders, and the further ones of orders that may open a trade.
ON_CLOSES = frozenset({FaultKind.FIFO_VIOLATION, FaultKind.THIN_LIQUIDITY, FaultKind.SLIPPAGE})
ON_ORDERS = ON_CLOSES | {FaultKind.INSUFFICIENT_MARGIN, FaultKind.GUARANTEED_STOP_REQUIRED}
ON_ACCOUNT = frozenset({FaultKind.LOST_STOP, FaultKind.MOVED_STOP, FaultKind.MARGIN_CLOSEOUT})


class CorruptValue(StrEnum):
    """How the prices of a candle or a quote are corrupted."""

    ZERO = "zero"
    CROSSED = "crossed"
    NOT_FINITE = "not_finite"
    UNPARSABLE = "unparsable"
    HIGH_BELOW_LOW = "high_below_low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One active fault.

    Attributes:
        id: number of the fault.
        kind: what it does.
        times: how many times it is still applied; None until it is removed.
        seconds: duration (latency, unreadable order) or delay (stale views).
        status: HTTP status (status).
        method: only requests with this method.
        path: only requests with a match of this regular expression in their path.
        instrument: only this instrument; all if None.
        count: number of members affected: the newest candles, the first odd members.
        value: how prices are corrupted (bad candles, bad prices).
        units: units available for an order (thin liquidity).
        distance: in price units: worse fill price (slippage), shift of a stop away from the
            market (moved stop).
        trade: only this trade id (lost stop, moved stop).
        members: only the list of this name, ``account`` for the account itself; every list if
            None (odd member).
        field: the field to change; without it the whole member is emptied (odd member).
        text: the new value of the field; without text and json the field is removed (odd member).
        json: the new value of the field as JSON, such as ``null`` (odd member).
    """

    id: int
    kind: FaultKind
    times: int | None = None
    seconds: float = 0.5
    status: int = 500
    method: str | None = None
    path: str = ""
    instrument: str | None = None
    count: int = 1
    value: CorruptValue = CorruptValue.ZERO
    units: Decimal = Decimal(0)
    distance: Decimal = Decimal("0.00100")
    trade: str | None = None
    members: str | None = None
    field: str | None = None
    text: str | None = None
    json: str | None = None

    def applies_to(self, instrument: str) -> bool:
        """Whether the fault applies to the instrument."""
        return self.instrument in (None, instrument)
