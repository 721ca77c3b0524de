"""``guard:decisions``: every entry decision and order with its inputs and reasons."""

import json
from decimal import Decimal
from typing import Literal

from redis.asyncio.client import Pipeline
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document

from sep_guard.domain.budget import drain_budget_of
from sep_guard.domain.cycle import Action, Kind, View, decide
from sep_guard.domain.drain import Close, DrainLimits, plan_drain
from sep_guard.domain.limits import Controls, GuardLimits, PortfolioLimits
from sep_guard.domain.market import Account, Market, Weights
from sep_guard.domain.orders import Intent, Outcome, Result

_LENGTH = 20_000
_PAGE = 500


class DecisionRecord(Document):
    """A decision with everything it was made from, so that it can be made again."""

    event: Literal["decision"] = "decision"
    id: str
    ts: int
    instrument: str
    kind: Kind
    reasons: tuple[str, ...]
    action: Action
    account: Account
    market: Market
    weight: Decimal | None
    weights_ts: int | None
    gates_ts: int | None
    weights_held: bool | None
    margin_was_open: bool
    link_sound: bool
    controls: Controls
    limits: GuardLimits

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
            action=action,
            account=view.account,
            market=view.markets[action.instrument],
            weight=weights.by_instrument.get(action.instrument) if weights else None,
            weights_ts=weights.ts if weights else None,
            gates_ts=weights.gates_ts if weights else None,
            weights_held=weights.held if weights else None,
            margin_was_open=view.margin_was_open,
            link_sound=view.link_sound,
            controls=view.controls,
            limits=limits,
        )

    def view(self) -> View:
        """What the decision was made from, as far as it concerns this instrument."""
        weights = None
        if self.weights_ts is not None:
            shares = {} if self.weight is None else {self.instrument: self.weight}
            weights = Weights(self.weights_ts, self.gates_ts, shares, bool(self.weights_held))
        return View(
            self.account,
            {self.instrument: self.market},
            weights,
            self.margin_was_open,
            self.controls,
            self.ts,
            self.link_sound,
        )

    def decided_again(self) -> Action:
        """The same decision, made now from what the record holds."""
        return decide(self.view(), self.market, self.limits, self.action.room)


class OrderRecord(Document):
    """What became of an order, as far as it was known then."""

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


class DrainRecord(Document):
    """One close of a drain with everything it was planned from; its order is recorded apart."""

    event: Literal["drain"] = "drain"
    id: str
    ts: int
    instrument: str
    reasons: tuple[str, ...]
    close: Close
    account: Account
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

    def planned_again(self) -> Close | None:
        """The same close, planned now from what the record holds; None where none would be."""
        budget = drain_budget_of(self.account, self.portfolio)
        closes = plan_drain(self.account, self.markets, budget, self.limits).closes
        return next((c for c in closes if c.instrument == self.instrument), None)


Entry = DecisionRecord | OrderRecord | DrainRecord
_SCHEMAS: dict[bytes, type[Entry]] = {
    b'{"event":"decision"': DecisionRecord,
    b'{"event":"order"': OrderRecord,
    b'{"event":"drain"': DrainRecord,
}


def queue_decision(
    pipe: Pipeline, decision_id: str, action: Action, view: View, limits: GuardLimits
) -> None:
    """Queue a decision."""
    _queue(pipe, DecisionRecord.of(decision_id, action, view, limits))


def queue_outcome(pipe: Pipeline, intent: Intent, result: Result, ts: int) -> None:
    """Queue what became of an order."""
    record = OrderRecord(
        id=intent.decision_id,
        ts=ts,
        instrument=intent.instrument,
        client_order_id=intent.client_order_id,
        units=intent.units,
        outcome=result.outcome,
        reason=result.reason,
        filled_units=result.filled_units,
        fill_price=result.fill_price,
    )
    _queue(pipe, record)


def queue_drain(pipe: Pipeline, record: DrainRecord) -> None:
    """Queue one close of a drain."""
    _queue(pipe, record)


async def find_entries(store: Valkey, decision_id: str) -> list[Entry]:
    """What the log says of a decision, oldest first: itself, then what became of its orders.

    Raises:
        CorruptRecordError: a record of it can't be read.
        StoreUnavailableError: Valkey does not answer.
    """
    found: list[Entry] = []
    wanted, newest = f'"id":{json.dumps(decision_id)}'.encode(), "+"
    while True:
        page = await reply(store.xrevrange(keys.GUARD_DECISIONS, newest, "-", count=_PAGE))
        for _, fields in page:
            raw = fields.get(b"decision", b"")
            if wanted in raw:
                found.insert(0, _parse(raw))
        if len(page) < _PAGE or isinstance(next(iter(found), None), DecisionRecord):
            return found
        newest = f"({page[-1][0].decode()}"


def _parse(raw: bytes) -> Entry:
    schema = next((s for start, s in _SCHEMAS.items() if raw.startswith(start)), DecisionRecord)
    return parse_document(schema, keys.GUARD_DECISIONS, raw)


def _queue(pipe: Pipeline, record: Entry) -> None:
    text = record.model_dump_json()
    pipe.xadd(keys.GUARD_DECISIONS, {"decision": text}, maxlen=_LENGTH, approximate=True)
