"""Stored forms of the risk state, one key a part, so that damage costs that part alone."""

from collections.abc import Mapping
from decimal import Decimal

from pydantic import Field
from sep_kit.store.documents import Document

from sep_guard.domain.risk.activity import ActivityState, InstrumentActivity
from sep_guard.domain.risk.breaker import BreakerCause, Trip
from sep_guard.domain.risk.equity import EquityState
from sep_guard.domain.risk.locks import Lock, LockCause
from sep_guard.domain.risk.refused_orders import RefusedOrder


class EquityRecord(Document):
    """``guard:risk:equity``: baselines of NAV; times in ms, money in home currency."""

    nav: Decimal = Field(gt=0)
    read_ms: int
    unit_value: Decimal = Field(ge=0)
    day_start_ms: int
    day_unit_value: Decimal = Field(ge=0)
    day_nav: Decimal = Field(gt=0)
    peak_unit_value: Decimal = Field(ge=0)
    peak_nav: Decimal = Field(gt=0)
    day_transfers: Decimal
    peak_transfers: Decimal

    @classmethod
    def of(cls, state: EquityState) -> "EquityRecord":
        """The record of a state."""
        return cls.model_validate(state, from_attributes=True)

    def to_state(self) -> EquityState:
        """The recorded state."""
        return EquityState(**self.model_dump())


class InstrumentActivityRecord(Document):
    """Counts of one instrument."""

    trades: dict[str, Decimal] = Field(default_factory=dict)
    entries_ms: tuple[int, ...] = ()
    stops_today: int = Field(0, ge=0)
    refusal: str = ""
    refusals: int = Field(0, ge=0)
    last_entry_ms: int | None = None
    last_exit_ms: int | None = None


class ActivityRecord(Document):
    """``guard:risk:activity``: counts through a transaction of the broker's ledger."""

    through_id: int = Field(ge=0)
    day_start_ms: int
    opened_value: Decimal = Field(ge=0)
    unvalued: int = Field(ge=0)
    instruments: dict[str, InstrumentActivityRecord]
    refused_orders: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, state: ActivityState) -> "ActivityRecord":
        """The record of a state."""
        return cls.model_validate(state, from_attributes=True)

    def to_state(self) -> ActivityState:
        """The recorded state."""
        return ActivityState(
            through_id=self.through_id,
            day_start_ms=self.day_start_ms,
            opened_value=self.opened_value,
            unvalued=self.unvalued,
            instruments={
                name: InstrumentActivity(**record.model_dump())
                for name, record in self.instruments.items()
            },
            refused_orders=self.refused_orders,
        )


class RefusedOrderRecord(Document):
    """One field of the HASH ``guard:refused_orders``."""

    client_order_id: str
    instrument: str
    reason: str
    transaction_id: int = Field(ge=0)
    ts_ms: int
    message: str = ""

    @classmethod
    def of(cls, order: RefusedOrder) -> "RefusedOrderRecord":
        """The record of an order."""
        return cls.model_validate(order, from_attributes=True)

    def to_order(self) -> RefusedOrder:
        """The recorded order."""
        return RefusedOrder(**self.model_dump())


class TripRecord(Document):
    """``guard:risk:breaker``: the tripped breaker, until it is acknowledged."""

    cause: BreakerCause
    ts_ms: int
    observed: Decimal | None
    allowed: Decimal | None
    reason: str

    @classmethod
    def of(cls, trip: Trip) -> "TripRecord":
        """The record of a trip."""
        return cls.model_validate(trip, from_attributes=True)

    def to_trip(self) -> Trip:
        """The recorded trip."""
        return Trip(**self.model_dump())


class LockRecord(Document):
    """One lock of ``guard:locks``."""

    instrument: str
    cause: LockCause
    since_ms: int
    until_ms: int | None
    minutes: int = Field(ge=0)
    reason: str
    actor: str


class LocksRecord(Document):
    """One field of the HASH ``guard:locks``: the locks of an instrument, ended ones for a day."""

    locks: tuple[LockRecord, ...]

    @classmethod
    def of(cls, locks: tuple[Lock, ...]) -> "LocksRecord":
        """The record of an instrument's locks."""
        return cls.model_validate({"locks": locks}, from_attributes=True)

    def to_locks(self) -> tuple[Lock, ...]:
        """The recorded locks."""
        return tuple(Lock(**record.model_dump()) for record in self.locks)


def unreadable_lock(instrument: str, fault: str) -> Lock:
    """The lock that stands in for a record that can't be read, until a person lifts it."""
    return Lock(
        instrument=instrument,
        cause=LockCause.MANUAL,
        since_ms=0,
        until_ms=None,
        minutes=0,
        reason=f"its stored locks can't be read: {fault}",
        actor="guard",
    )


LocksByInstrument = Mapping[str, tuple[Lock, ...]]
