"""Orders: the intent that is persisted before it is sent, and the outcome of it."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.actions import Action, Brackets, Kind
from sep_guard.domain.drain import Close
from sep_guard.domain.view import View


class Outcome(StrEnum):
    """The outcome of an order."""

    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NEVER_RECEIVED = "NEVER_RECEIVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An order as decided. A price is None when the order carries none.

    ``since_transaction_id`` is the broker's last transaction before the order: look-ups of a
    lost response search from there.
    """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The broker's response; ``reason`` is its own reason for a cancel or reject."""

    outcome: Outcome
    reason: str
    filled_units: Decimal
    fill_price: Decimal | None


# An order that the broker does not know this long after it was sent is not in flight any
# more: every deadline between here and there is far shorter.
SETTLE_MS = 60_000


def intent_of_action(action: Action, decision_id: str, view: View) -> Intent:
    """The order of an entry or reduction."""
    return _intent(
        view,
        decision_id,
        leg=action.kind,
        instrument=action.instrument,
        units=action.order,
        reduce_only=action.kind is Kind.REDUCTION,
        brackets=action.brackets,
    )


def intent_of_close(close: Close, decision_id: str, view: View) -> Intent:
    """The order of one close of a drain.

    Its key depends on the units held, so that a drain that is resumed never sends the same
    close twice.
    """
    return _intent(
        view,
        decision_id,
        leg=f"drain:{close.current}",
        instrument=close.instrument,
        units=close.order,
        reduce_only=True,
        brackets=None,
    )


def client_order_id(decision_id: str, leg: str) -> str:
    """The idempotency key of one leg of a decision."""
    digest = hashlib.sha256(f"{decision_id}:{leg}".encode()).hexdigest()
    return f"sep-{digest[:40]}"


def settle(found: Outcome | None, *, age_ms: int, watched_ms: int) -> Outcome:
    """The outcome that a look-up proves for an order whose response was lost.

    Args:
        found: the broker's outcome; None when it knows no such order.
        age_ms: time since it was sent, by the wall clock, which can be set meanwhile.
        watched_ms: time since this process first knew of it, by a monotonic clock.
    """
    if found is None:
        given_up = min(age_ms, watched_ms) >= SETTLE_MS
        return Outcome.NEVER_RECEIVED if given_up else Outcome.UNKNOWN
    return found


def _intent(
    view: View,
    decision_id: str,
    *,
    leg: str,
    instrument: str,
    units: Decimal,
    reduce_only: bool,
    brackets: Brackets | None,
) -> Intent:
    return Intent(
        client_order_id=client_order_id(decision_id, leg),
        decision_id=decision_id,
        instrument=instrument,
        units=units,
        reduce_only=reduce_only,
        stop_loss=brackets.stop_loss if brackets else None,
        take_profit=brackets.take_profit if brackets else None,
        price_bound=brackets.price_bound if brackets else None,
        since_transaction_id=view.account.last_transaction_id,
        sent_ms=view.now_ms,
    )
