"""Orders: the intent that is persisted before it is sent, and the outcome of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.actions import Action, Brackets, Kind
from sep_guard.domain.drain import Close
from sep_guard.domain.market import ZERO, Trade
from sep_guard.domain.trade_exits import Leg, legs
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
    lost response search from there. With a ``trade_id`` the order closes units of that trade
    alone, all that is left of it if ``whole_trade``. ``fencing_token`` is the writer lease's at
    the decision; 0 before the order is sent.
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
    trade_id: str = ""
    whole_trade: bool = False
    fencing_token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The broker's response; ``reason`` is its own reason for a cancel or reject.

    ``message`` are the broker's words about it, ``last_id`` is the newest transaction in its
    answer, ``transaction_id`` that of the fill, cancel or reject; 0 where they are not known.
    ``by_broker`` is False where the order did not reach the broker.
    """

    outcome: Outcome
    reason: str
    filled_units: Decimal
    fill_price: Decimal | None
    message: str = ""
    last_id: int = 0
    transaction_id: int = 0
    by_broker: bool = False

    @property
    def refused_by_broker(self) -> bool:
        """Whether the broker cancelled or rejected the order."""
        return self.by_broker and self.outcome in (Outcome.CANCELLED, Outcome.REJECTED)


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


def intents_of_action(
    action: Action, decision_id: str, view: View, *, include_manual: bool = False
) -> tuple[Intent, ...]:
    """The orders of an entry or reduction: one for an entry, one for each trade of a reduction.

    Args:
        include_manual: whether trades opened by hand are managed as well.
    """
    order = intent_of_action(action, decision_id, view)
    if not order.reduce_only:
        return (order,)
    trades = view.markets[action.instrument].holding.trades
    return by_trade(order, legs(trades, action.order, include_manual=include_manual))


def intents_of_close(close: Close, decision_id: str, view: View) -> tuple[Intent, ...]:
    """The orders of one close of a drain or flatten, one for each trade.

    Their keys depend on the units held, so that a drain that is resumed never sends the same
    close twice.
    """
    trades = view.markets[close.instrument].holding.trades
    order = _intent_of_close(close, decision_id, view)
    return by_trade(order, legs(trades, close.order, include_manual=close.include_manual))


def by_trade(order: Intent, parts: Sequence[Leg]) -> tuple[Intent, ...]:
    """The order as one close for each trade; the order itself where the trades are not known."""
    if not parts:
        return (order,)
    return tuple(
        replace(
            order,
            client_order_id=client_order_id(
                order.decision_id, f"{order.client_order_id}:{leg.trade_id}:{leg.held}"
            ),
            units=leg.units,
            trade_id=leg.trade_id,
            whole_trade=leg.whole,
        )
        for leg in parts
    )


def intent_of_lost_stop(instrument: str, trade: Trade, decision_id: str, view: View) -> Intent:
    """The order that closes a whole trade, because its stop can't be given back."""
    order = _intent(
        view,
        decision_id,
        leg="close",
        instrument=instrument,
        units=-trade.units,
        reduce_only=True,
        brackets=None,
    )
    return replace(order, trade_id=trade.id, whole_trade=True)


TRADE_GONE = "TRADE_DOESNT_EXIST"
"""The broker's reason for a close of a trade that is closed already."""


def combined(results: Sequence[Result]) -> Result:
    """One result for the orders of one decision.

    A trade that is gone needs no close: it stands for nothing when others were closed. An
    unknown outcome is the whole's, and so is a refusal where nothing was filled.
    """
    unknown = next((r for r in results if r.outcome is Outcome.UNKNOWN), None)
    refused = next((r for r in results if r.outcome is not Outcome.FILLED), None)
    filled = [r for r in results if r.outcome is Outcome.FILLED]
    first = unknown or (filled[0] if filled else None) or results[0]
    others = [r.reason for r in results if r.reason and r.outcome is not Outcome.FILLED]
    return replace(
        first,
        reason=first.reason or (others[0] if refused and others else ""),
        filled_units=sum((r.filled_units for r in results), ZERO),
        message=first.message or next((r.message for r in results if r.message), ""),
        last_id=max(r.last_id for r in results),
    )


def _intent_of_close(close: Close, decision_id: str, view: View) -> Intent:
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
