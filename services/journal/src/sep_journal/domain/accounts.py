"""The account's value at one moment."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The account, in home currency. ``position_value`` is None where the broker gave none."""

    ts_ms: int
    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    position_value: Decimal | None
    last_transaction_id: int
