"""Stored forms of orders of unknown outcome, of decided stops, and of repairs of stops."""

from decimal import Decimal
from typing import Literal

from pydantic import Field
from sep_kit.store.documents import Document

from sep_guard.domain.market import Trade
from sep_guard.domain.orders import Intent
from sep_guard.domain.stop_guard import DecidedStop, StopFault, StopRepair, StopStep


class IntentRecord(Document):
    """The stored form of an order of unknown outcome, in ``guard:open_orders``."""

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

    @classmethod
    def of(cls, intent: Intent) -> "IntentRecord":
        """The record of an order."""
        return cls.model_validate(intent, from_attributes=True)

    def to_intent(self) -> Intent:
        """The recorded order."""
        return Intent(**self.model_dump())


class TradeStopRecord(Document):
    """One field of the HASH ``guard:trade_stops``: the stop that an entry was sent with."""

    stop: Decimal = Field(gt=0)
    ts: int

    def to_stop(self) -> DecidedStop:
        """The recorded stop."""
        return DecidedStop(price=self.stop, sent_ms=self.ts)


class StopRecord(Document):
    """The repair of a stop that was not as decided; its order is recorded separately.

    ``outcome`` is empty for a close, whose order has one.
    """

    event: Literal["stop"] = "stop"
    id: str
    ts: int
    instrument: str
    reasons: tuple[str, ...]
    kind: StopStep
    fault: StopFault
    trade: Trade
    price: Decimal | None
    outcome: str

    @classmethod
    def of(cls, decision_id: str, repair: StopRepair, outcome: str, ts_ms: int) -> "StopRecord":
        """The record of a repair."""
        return cls(
            id=decision_id,
            ts=ts_ms,
            instrument=repair.instrument,
            reasons=(repair.fault,),
            kind=repair.step,
            fault=repair.fault,
            trade=repair.trade,
            price=repair.price,
            outcome=outcome,
        )
