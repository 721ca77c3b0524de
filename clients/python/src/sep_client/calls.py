"""Every call: its parameters, what is sent and what comes back; how it is sent is elsewhere.

Both clients have a method of the same name and with the same parameters for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from sep_client import models as m

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call.

    Args:
        body: None for one that only reads.
        told_by_failure: whether it is answered by the error that says what is down.
    """

    answer: type[T]
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    told_by_failure: bool = False

    @property
    def reads(self) -> bool:
        """Whether it may be sent twice."""
        return self.body is None


def health() -> Call[m.GetHealthResponse]:
    """Each part's state, whether all of them serve or not."""
    return Call(m.GetHealthResponse, "/health", told_by_failure=True)


def status() -> Call[m.GetStatusResponse]:
    """The stack at a glance."""
    return Call(m.GetStatusResponse, "/api/status")


def pairs() -> Call[m.ListPairsResponse]:
    """Instruments with their sessions."""
    return Call(m.ListPairsResponse, "/api/pairs")


def ranking() -> Call[m.ListRankingResponse]:
    """Every instrument with its score, best first."""
    return Call(m.ListRankingResponse, "/api/ranking/active")


def allocation_status() -> Call[m.GetAllocationStatusResponse]:
    """The weights and what they rest on."""
    return Call(m.GetAllocationStatusResponse, "/api/risk/allocation-status")


def budget() -> Call[m.GetBudgetResponse]:
    """The risk budget from the account as it is now."""
    return Call(m.GetBudgetResponse, "/api/risk/budget")


def readiness() -> Call[m.GetReadinessResponse]:
    """Whether an entry would pass now, and every reason why not."""
    return Call(m.GetReadinessResponse, "/api/trade/readiness")


def reconcile(*, dry_run: bool) -> Call[m.ReconcileResponse]:
    """Run one cycle now. Needs a write key, a dry run too."""
    return Call(m.ReconcileResponse, "/api/trade/reconcile", body={"dry_run": dry_run})


def kill_switch() -> Call[m.GetKillSwitchResponse]:
    """Whether the kill switch is engaged, and who said so."""
    return Call(m.GetKillSwitchResponse, "/api/kill-switch")


def set_kill_switch(*, engaged: bool, reason: str) -> Call[m.SetKillSwitchResponse]:
    """Engage or release the kill switch. Needs a write key."""
    body = {"kill_switch": engaged, "reason": reason}
    return Call(m.SetKillSwitchResponse, "/api/kill-switch", body=body)


def plan_drain(
    *, buffer_pct: float | None = None, min_units: Decimal | None = None
) -> Call[m.PlanDrainResponse]:
    """What a drain would close. Needs a write key."""
    body = _given(buffer_pct=buffer_pct, min_units=_text(min_units))
    return Call(m.PlanDrainResponse, "/api/drain/plan", body=body)


def execute_drain(
    drain_id: str,
    *,
    buffer_pct: float | None = None,
    min_units: Decimal | None = None,
    instrument: str | None = None,
) -> Call[m.ExecuteDrainResponse]:
    """Close what a plan says, all or one instrument; limits as in the plan. Needs a write key."""
    limits = _given(buffer_pct=buffer_pct, min_units=_text(min_units), instrument=instrument)
    return Call(m.ExecuteDrainResponse, "/api/drain/execute", body={"drain_id": drain_id} | limits)


def manifold_coeffs(instrument: str) -> Call[m.GetManifoldCoeffsResponse]:
    """Coefficients and metrics of the last window."""
    query = {"instrument": instrument}
    return Call(m.GetManifoldCoeffsResponse, "/api/manifold/coeffs", query)


def coherence(instrument: str | None = None) -> Call[m.GetCoherenceStatusResponse]:
    """Metrics against thresholds, of one instrument or all."""
    query = _given(instrument=instrument)
    return Call(m.GetCoherenceStatusResponse, "/api/coherence/status", query)


def candles(
    instrument: str,
    *,
    granularity: str | None = None,
    limit: int | None = None,
    since: str | int | None = None,
    until: str | int | None = None,
) -> Call[m.ListCandlesResponse]:
    """Stored candles, oldest first."""
    query = _given(instrument=instrument, granularity=granularity, limit=limit, to=until)
    query |= _given(**{"from": since})
    return Call(m.ListCandlesResponse, "/api/candles", query)


def fetch_candles(
    instruments: Sequence[str] = (), *, granularity: str | None = None, count: int | None = None
) -> Call[m.FetchCandlesResponse]:
    """Fetch candles from the broker now. Needs a write key."""
    body = {"instruments": list(instruments)} | _given(granularity=granularity, count=count)
    return Call(m.FetchCandlesResponse, "/api/candles/fetch", body=body)


def account() -> Call[m.GetAccountResponse]:
    """The account summary."""
    return Call(m.GetAccountResponse, "/api/oanda/account")


def positions() -> Call[m.ListPositionsResponse]:
    """Open positions."""
    return Call(m.ListPositionsResponse, "/api/oanda/positions")


def open_trades() -> Call[m.ListOpenTradesResponse]:
    """Open trades."""
    return Call(m.ListOpenTradesResponse, "/api/oanda/open-trades")


def instruments() -> Call[m.ListInstrumentsResponse]:
    """Tradeable instruments."""
    return Call(m.ListInstrumentsResponse, "/api/oanda/instruments")


def pricing(instruments: Sequence[str] = ()) -> Call[m.GetPricingResponse]:
    """Current prices."""
    query = {"instruments": list(instruments)} if instruments else {}
    return Call(m.GetPricingResponse, "/api/oanda/pricing", query)


def metrics() -> Call[str]:
    """Prometheus metrics of the whole stack."""
    return Call(str, "/metrics")


def manifolds(instrument: str | None) -> Call[m.StreamManifoldsResponse]:
    """Live manifolds, for as long as one asks."""
    query = _given(instrument=instrument)
    return Call(m.StreamManifoldsResponse, "/api/manifold/stream", query)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
