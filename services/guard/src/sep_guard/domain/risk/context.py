"""What the risk limits remember, as far as a decision reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.activity import entries_last_hour
from sep_guard.domain.risk.exposure import NO_EXPOSURE, Exposure
from sep_guard.domain.risk.locks import Lock, active
from sep_guard.domain.risk.monitor import Observed

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskContext:
    """The risk state of one cycle.

    Attributes:
        readable: whether account, ledger and stored state could be read.
        tripped: cause of the tripped breaker; empty while there is none.
        opened_value: value opened since 17:00 New York, in home currency.
        entries_last_hour: by instrument; none where absent.
        locks: running locks by instrument.
        last_entry_ms: when the last position was opened, by instrument; absent where unknown.
        last_exit_ms: when the last one was closed, by instrument.
        exposure: of all positions, before this cycle's orders.
    """

    readable: bool
    tripped: str = ""
    opened_value: Decimal = ZERO
    entries_last_hour: Mapping[str, int] = field(default_factory=dict)
    locks: Mapping[str, tuple[Lock, ...]] = field(default_factory=dict)
    exposure: Exposure = NO_EXPOSURE
    last_entry_ms: Mapping[str, int] = field(default_factory=dict)
    last_exit_ms: Mapping[str, int] = field(default_factory=dict)

    def only(self, instrument: str) -> "RiskContext":
        """The part that concerns one instrument, for its decision record."""
        return replace(
            self,
            entries_last_hour=_only(self.entries_last_hour, instrument),
            locks=_only(self.locks, instrument),
            last_entry_ms=_only(self.last_entry_ms, instrument),
            last_exit_ms=_only(self.last_exit_ms, instrument),
        )


UNREADABLE_RISK = RiskContext(readable=False)


def context_of(observed: Observed, exposure: Exposure, now_ms: int) -> RiskContext:
    """The context after an observation."""
    state, counts = observed.state, observed.state.activity
    locks: dict[str, tuple[Lock, ...]] = {}
    for lock in active(state.locks, now_ms):
        locks[lock.instrument] = (*locks.get(lock.instrument, ()), lock)
    entries = (
        {}
        if counts is None
        else {i: n for i in counts.instruments if (n := entries_last_hour(counts, i, now_ms))}
    )
    instruments = {} if counts is None else counts.instruments
    return RiskContext(
        readable=observed.readable,
        tripped="" if state.trip is None else state.trip.cause,
        opened_value=ZERO if counts is None else counts.opened_value,
        entries_last_hour=entries,
        locks=locks,
        exposure=exposure,
        last_entry_ms={
            i: a.last_entry_ms for i, a in instruments.items() if a.last_entry_ms is not None
        },
        last_exit_ms={
            i: a.last_exit_ms for i, a in instruments.items() if a.last_exit_ms is not None
        },
    )


def _only(by_instrument: Mapping[str, _T], instrument: str) -> dict[str, _T]:
    return {i: value for i, value in by_instrument.items() if i == instrument}
