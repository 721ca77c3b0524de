"""What is sent for each call and what comes back; how it is sent is elsewhere."""

# What each call is for stands once, at the clients' methods of the same name.
# ruff: noqa: D103

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from sep_client import models as m

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call; ``body`` is None for one that only reads."""

    answer: type[T]
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def reads(self) -> bool:
        """Whether it may be sent twice."""
        return self.body is None


def health() -> Call[m.GetHealthResponse]:
    return Call(m.GetHealthResponse, "/health")


def status() -> Call[m.GetStatusResponse]:
    return Call(m.GetStatusResponse, "/api/status")


def pairs() -> Call[m.ListPairsResponse]:
    return Call(m.ListPairsResponse, "/api/pairs")


def ranking() -> Call[m.ListRankingResponse]:
    return Call(m.ListRankingResponse, "/api/ranking/active")


def allocation_status() -> Call[m.GetAllocationStatusResponse]:
    return Call(m.GetAllocationStatusResponse, "/api/risk/allocation-status")


def budget() -> Call[m.GetBudgetResponse]:
    return Call(m.GetBudgetResponse, "/api/risk/budget")


def readiness() -> Call[m.GetReadinessResponse]:
    return Call(m.GetReadinessResponse, "/api/trade/readiness")


def reconcile(*, dry_run: bool) -> Call[m.ReconcileResponse]:
    return Call(m.ReconcileResponse, "/api/trade/reconcile", body={"dry_run": dry_run})


def kill_switch() -> Call[m.GetKillSwitchResponse]:
    return Call(m.GetKillSwitchResponse, "/api/kill-switch")


def set_kill_switch(*, engaged: bool, reason: str) -> Call[m.SetKillSwitchResponse]:
    body = {"kill_switch": engaged, "reason": reason}
    return Call(m.SetKillSwitchResponse, "/api/kill-switch", body=body)


def plan_drain(buffer_pct: float | None, min_units: Decimal | None) -> Call[m.PlanDrainResponse]:
    body = _given(buffer_pct=buffer_pct, min_units=_text(min_units))
    return Call(m.PlanDrainResponse, "/api/drain/plan", body=body)


def execute_drain(drain_id: str) -> Call[m.ExecuteDrainResponse]:
    return Call(m.ExecuteDrainResponse, "/api/drain/execute", body={"drain_id": drain_id})


def manifold_coeffs(instrument: str) -> Call[m.GetManifoldCoeffsResponse]:
    query = {"instrument": instrument}
    return Call(m.GetManifoldCoeffsResponse, "/api/manifold/coeffs", query)


def coherence(instrument: str | None) -> Call[m.GetCoherenceStatusResponse]:
    query = _given(instrument=instrument)
    return Call(m.GetCoherenceStatusResponse, "/api/coherence/status", query)


def candles(
    instrument: str,
    granularity: str | None,
    limit: int | None,
    since: str | int | None,
    until: str | int | None,
) -> Call[m.ListCandlesResponse]:
    query = _given(instrument=instrument, granularity=granularity, limit=limit, to=until)
    query |= _given(**{"from": since})
    return Call(m.ListCandlesResponse, "/api/candles", query)


def fetch_candles(
    instruments: Sequence[str], granularity: str | None, count: int | None
) -> Call[m.FetchCandlesResponse]:
    body = {"instruments": list(instruments)} | _given(granularity=granularity, count=count)
    return Call(m.FetchCandlesResponse, "/api/candles/fetch", body=body)


def account() -> Call[m.GetAccountResponse]:
    return Call(m.GetAccountResponse, "/api/oanda/account")


def positions() -> Call[m.ListPositionsResponse]:
    return Call(m.ListPositionsResponse, "/api/oanda/positions")


def open_trades() -> Call[m.ListOpenTradesResponse]:
    return Call(m.ListOpenTradesResponse, "/api/oanda/open-trades")


def instruments() -> Call[m.ListInstrumentsResponse]:
    return Call(m.ListInstrumentsResponse, "/api/oanda/instruments")


def pricing(instruments: Sequence[str]) -> Call[m.GetPricingResponse]:
    query = {"instruments": list(instruments)} if instruments else {}
    return Call(m.GetPricingResponse, "/api/oanda/pricing", query)


def metrics() -> Call[str]:
    return Call(str, "/metrics")


def manifolds(instrument: str | None) -> Call[m.StreamManifoldsResponse]:
    query = _given(instrument=instrument)
    return Call(m.StreamManifoldsResponse, "/api/manifold/stream", query)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
