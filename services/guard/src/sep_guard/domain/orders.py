"""Orders on their way: the intent kept before sending, and what became of it."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Outcome(StrEnum):
    """What became of an order."""

    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NEVER_RECEIVED = "NEVER_RECEIVED"


@dataclass(frozen=True, slots=True)
class Intent:
    """An order as decided, kept before it is sent. Prices are None where there are none."""

    client_order_id: str
    decision_id: str
    instrument: str
    units: Decimal
    reduce_only: bool
    stop_loss: Decimal | None
    take_profit: Decimal | None
    price_bound: Decimal | None
    since_transaction_id: str
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Result:
    """The broker's answer; ``reason`` is its own word for a cancel or reject."""

    outcome: Outcome
    reason: str
    filled_units: Decimal
    fill_price: Decimal | None


# An order that the broker does not know this long after it was sent is not on its way
# any more: every hop between here and there gives up far sooner.
SETTLE_MS = 60_000


def client_order_id(decision_id: str, leg: str) -> str:
    """The idempotency key of one leg of a decision."""
    digest = hashlib.sha256(f"{decision_id}:{leg}".encode()).hexdigest()
    return f"sep-{digest[:40]}"


def settle(found: Outcome | None, age_ms: int, watched_ms: int) -> Outcome:
    """What a look-up says of an order whose answer got lost.

    Args:
        found: what the broker says; None where it knows no such order.
        age_ms: since it was sent, by a clock that may have been set meanwhile.
        watched_ms: for how long it has been waited for, by one that nobody sets.
    """
    if found is None:
        given_up = min(age_ms, watched_ms) >= SETTLE_MS
        return Outcome.NEVER_RECEIVED if given_up else Outcome.UNKNOWN
    return found
