"""Everything that the risk limits remember from cycle to cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sep_guard.domain.risk.activity import ActivityState
from sep_guard.domain.risk.breaker import Trip
from sep_guard.domain.risk.equity import EquityState
from sep_guard.domain.risk.locks import Lock
from sep_guard.domain.risk.refused_orders import RefusedOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskState:
    """Persisted as a whole after each observation.

    Attributes:
        equity: baselines of NAV; None before the first reading, and after an acknowledgement.
        activity: counts from the ledger; None before the first reading.
        trip: the tripped breaker, until it is acknowledged.
        locks: locks by instrument, ended ones for a day.
        refused: orders that the broker refused in its answer, until they are counted.
        taken_in: client order ids of those that were; they are forgotten when this is saved.
        damaged: stored parts that could not be read. A damaged baseline trips the breaker.
    """

    equity: EquityState | None = None
    activity: ActivityState | None = None
    trip: Trip | None = None
    locks: Mapping[str, tuple[Lock, ...]] = field(default_factory=dict)
    refused: tuple[RefusedOrder, ...] = ()
    taken_in: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
