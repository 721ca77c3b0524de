"""Stored forms of decisions, closes and orders in ``guard:decisions``.

The field names are public. Each record holds every input of its decision, so that the
decision can be made again from it.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator
from sep_kit.store.documents import Document

from sep_guard.adapters.order_records import StopRecord
from sep_guard.domain.actions import Action, Brackets, Kind
from sep_guard.domain.budget import Capacity
from sep_guard.domain.checks import Check
from sep_guard.domain.drain import Close, DrainLimits
from sep_guard.domain.limits import Controls, GuardLimits, PortfolioLimits
from sep_guard.domain.market import Account, Market, Weights
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.domain.risk.context import UNREADABLE_RISK, RiskContext
from sep_guard.domain.risk.events import RiskEvent, RiskEventKind
from sep_guard.domain.risk.exposure import Bound
from sep_guard.domain.view import View

_NO_NUMBERS = ("NaN", "sNaN", "Infinity", "-Infinity")


def _account(value: object, handler: ValidatorFunctionWrapHandler) -> Account:
    """An account whose NAV is no number, which the schema refuses, is recorded nevertheless."""
    account: Account
    if isinstance(value, dict) and value.get("nav") in _NO_NUMBERS:
        account = handler({**value, "nav": "0"})
        return replace(account, nav=Decimal(value["nav"]))
    account = handler(value)
    return account


def _check(check: Check) -> dict[str, object]:
    """A check by the names of its fields; a named tuple would be stored as a list."""
    return check._asdict()


StoredAccount = Annotated[Account, WrapValidator(_account)]
StoredCheck = Annotated[Check, PlainSerializer(_check)]


class ActionRecord(Document):
    """An action; ``room`` is the stored name of its capacity."""

    instrument: str
    kind: Kind
    current: Decimal
    target: Decimal
    order: Decimal
    reasons: tuple[str, ...]
    checks: tuple[StoredCheck, ...]
    brackets: Brackets | None
    margin: Decimal
    room: Capacity
    bounds: tuple[Bound, ...] = ()


class DecisionRecord(Document):
    """A decision of a cycle with its inputs, as far as they concern its instrument."""

    event: Literal["decision"] = "decision"
    id: str
    ts: int
    instrument: str
    kind: Kind
    reasons: tuple[str, ...]
    action: ActionRecord
    account: StoredAccount
    market: Market
    weight: Decimal | None
    weights_ts: int | None
    gates_ts: int | None
    weights_held: bool | None
    weight_held: bool = False
    margin_was_open: bool
    link_sound: bool
    controls: Controls
    limits: GuardLimits
    risk: RiskContext = UNREADABLE_RISK
    behind: bool = False

    @classmethod
    def of(
        cls, decision_id: str, action: Action, view: View, limits: GuardLimits
    ) -> "DecisionRecord":
        """The record of a decision."""
        weights = view.weights
        return cls(
            id=decision_id,
            ts=view.now_ms,
            instrument=action.instrument,
            kind=action.kind,
            reasons=action.reasons,
            action=ActionRecord(
                instrument=action.instrument,
                kind=action.kind,
                current=action.current,
                target=action.target,
                order=action.order,
                reasons=action.reasons,
                checks=action.checks,
                brackets=action.brackets,
                margin=action.margin,
                room=action.capacity,
                bounds=action.bounds,
            ),
            account=view.account,
            market=view.markets[action.instrument],
            weight=weights.by_instrument.get(action.instrument) if weights else None,
            weights_ts=weights.ts if weights else None,
            gates_ts=weights.gates_ts if weights else None,
            weights_held=weights.held if weights else None,
            weight_held=weights is not None and action.instrument in weights.held_instruments,
            margin_was_open=view.margin_was_open,
            link_sound=view.link_sound,
            controls=view.controls,
            limits=limits,
            risk=view.risk.only(action.instrument),
            behind=view.behind,
        )

    def to_action(self) -> Action:
        """The recorded action."""
        action = self.action
        return Action(
            instrument=action.instrument,
            kind=action.kind,
            current=action.current,
            target=action.target,
            order=action.order,
            reasons=action.reasons,
            checks=action.checks,
            brackets=action.brackets,
            margin=action.margin,
            capacity=action.room,
            bounds=action.bounds,
        )

    def to_view(self) -> View:
        """The view of the decision, with this instrument alone."""
        weights = None
        if self.weights_ts is not None:
            shares = {} if self.weight is None else {self.instrument: self.weight}
            weights = Weights(
                ts=self.weights_ts,
                gates_ts=self.gates_ts,
                by_instrument=shares,
                held=bool(self.weights_held),
                held_instruments=frozenset({self.instrument} if self.weight_held else ()),
            )
        return View(
            account=self.account,
            markets={self.instrument: self.market},
            weights=weights,
            margin_was_open=self.margin_was_open,
            controls=self.controls,
            now_ms=self.ts,
            link_sound=self.link_sound,
            risk=self.risk,
            behind=self.behind,
        )


class OrderRecord(Document):
    """The outcome of an order, as far as it was known at ``ts``."""

    event: Literal["order"] = "order"
    id: str
    ts: int
    instrument: str
    client_order_id: str
    units: Decimal
    outcome: Outcome
    reason: str
    filled_units: Decimal
    fill_price: Decimal | None
    trade_id: str = ""
    message: str = ""

    @classmethod
    def of(cls, intent: Intent, result: Result, ts_ms: int) -> "OrderRecord":
        """The record of an outcome."""
        return cls(
            id=intent.decision_id,
            ts=ts_ms,
            instrument=intent.instrument,
            client_order_id=intent.client_order_id,
            units=intent.units,
            outcome=result.outcome,
            reason=result.reason,
            filled_units=result.filled_units,
            fill_price=result.fill_price,
            trade_id=intent.trade_id,
            message=result.message,
        )


class DrainRecord(Document):
    """One close of a drain with its inputs; its order is recorded separately."""

    event: Literal["drain"] = "drain"
    id: str
    ts: int
    instrument: str
    reasons: tuple[str, ...]
    close: Close
    account: StoredAccount
    markets: tuple[Market, ...]
    portfolio: PortfolioLimits
    limits: DrainLimits

    @classmethod
    def of(
        cls,
        decision_id: str,
        close: Close,
        view: View,
        portfolio: PortfolioLimits,
        limits: DrainLimits,
    ) -> "DrainRecord":
        """The record of a close."""
        held = (m for m in view.markets.values() if m.holding.managed or m.holding.manual)
        return cls(
            id=decision_id,
            ts=view.now_ms,
            instrument=close.instrument,
            reasons=(close.reason,),
            close=close,
            account=view.account,
            markets=tuple(held),
            portfolio=portfolio,
            limits=limits,
        )


class FlattenRecord(Document):
    """One close of a flatten; its order is recorded separately."""

    event: Literal["flatten"] = "flatten"
    id: str
    ts: int
    instrument: str
    reasons: tuple[str, ...]
    close: Close
    account: StoredAccount
    market: Market

    @classmethod
    def of(cls, decision_id: str, close: Close, view: View) -> "FlattenRecord":
        """The record of a close."""
        return cls(
            id=decision_id,
            ts=view.now_ms,
            instrument=close.instrument,
            reasons=(close.reason,),
            close=close,
            account=view.account,
            market=view.markets[close.instrument],
        )


class RiskRecord(Document):
    """A trip or acknowledgement of the breaker, or a change of a lock; ``instrument`` is empty
    where the whole account is meant."""

    event: Literal["risk"] = "risk"
    id: str
    ts: int
    instrument: str
    kind: RiskEventKind
    cause: str
    reason: str
    actor: str

    @classmethod
    def of(cls, event: RiskEvent) -> "RiskRecord":
        """The record of a change."""
        return cls(
            id=event.id,
            ts=event.ts_ms,
            instrument=event.instrument,
            kind=event.kind,
            cause=event.cause,
            reason=event.reason,
            actor=event.actor,
        )


LogRecord = DecisionRecord | OrderRecord | DrainRecord | FlattenRecord | RiskRecord | StopRecord
"""A record of ``guard:decisions``."""
