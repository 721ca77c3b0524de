"""Every call of the API: path, parameters, body and type of the response.

Both clients have a method with the same name and parameters for each.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sep_client import models as m
from sep_client.call import Call


def health() -> Call[m.GetHealthResponse]:
    """Each part's state; raises no error while parts are down."""
    return Call(m.GetHealthResponse, "/health", error_has_response=True)


def status() -> Call[m.GetStatusResponse]:
    """Version, modes, broker link, freshness and leases."""
    return Call(m.GetStatusResponse, "/api/status")


def settings() -> Call[m.GetSettingsResponse]:
    """Each setting in force, its default and the services that read it; no secrets."""
    return Call(m.GetSettingsResponse, "/api/settings")


def pairs() -> Call[m.ListPairsResponse]:
    """Instruments with their sessions."""
    return Call(m.ListPairsResponse, "/api/pairs")


def ranking() -> Call[m.ListRankingResponse]:
    """Every instrument with its score, best first."""
    return Call(m.ListRankingResponse, "/api/ranking/active")


def allocation_status() -> Call[m.GetAllocationStatusResponse]:
    """The weights, their ages, and whether they are held."""
    return Call(m.GetAllocationStatusResponse, "/api/risk/allocation-status")


def budget() -> Call[m.GetBudgetResponse]:
    """The risk budget of the current account."""
    return Call(m.GetBudgetResponse, "/api/risk/budget")


def readiness() -> Call[m.GetReadinessResponse]:
    """Whether an entry would be allowed now, with every reason if not."""
    return Call(m.GetReadinessResponse, "/api/trade/readiness")


def reconcile(*, dry_run: bool) -> Call[m.ReconcileResponse]:
    """Run one reconcile cycle now. Needs a write key, also for a dry run."""
    return Call(m.ReconcileResponse, "/api/trade/reconcile", body={"dry_run": dry_run})


def kill_switch() -> Call[m.GetKillSwitchResponse]:
    """Whether the kill switch is engaged, by whom and why."""
    return Call(m.GetKillSwitchResponse, "/api/kill-switch")


def risk_limits() -> Call[m.GetRiskLimitsResponse]:
    """Each risk limit with what is observed, allowed and left."""
    return Call(m.GetRiskLimitsResponse, "/api/risk/limits")


def locks() -> Call[m.ListLocksResponse]:
    """The instruments that take no entry now, and why."""
    return Call(m.ListLocksResponse, "/api/risk/locks")


def set_lock(
    instrument: str, *, locked: bool, reason: str, until_ms: float | None = None
) -> Call[m.SetLockResponse]:
    """Lock an instrument by hand, or lift all of its locks. Needs a write key."""
    body = {"instrument": instrument, "locked": locked, "reason": reason}
    return Call(m.SetLockResponse, "/api/risk/locks", body=body | _without_none(until_ms=until_ms))


def flatten(
    *,
    reason: str,
    include_manual: bool = False,
    flatten_id: str | None = None,
    dry_run: bool = False,
    instrument: str | None = None,
) -> Call[m.FlattenResponse]:
    """Engage the kill switch, then close everything. Needs a write key, also for a dry run.

    Args:
        instrument: close only this one, and lock it instead of engaging the kill switch.
    """
    body = {"reason": reason, "include_manual": include_manual, "dry_run": dry_run}
    body |= _without_none(flatten_id=flatten_id, instrument=instrument)
    return Call(m.FlattenResponse, "/api/flatten", body=body)


def set_kill_switch(
    *, engaged: bool, reason: str, acknowledge_breaker: bool | None = None
) -> Call[m.SetKillSwitchResponse]:
    """Engage or release the kill switch. Needs a write key.

    Args:
        acknowledge_breaker: reset a tripped breaker, which a release then needs.
    """
    body = {"kill_switch": engaged, "reason": reason}
    body |= _without_none(acknowledge_breaker=acknowledge_breaker)
    return Call(m.SetKillSwitchResponse, "/api/kill-switch", body=body)


def plan_drain(
    *, buffer_pct: float | None = None, min_units: Decimal | None = None
) -> Call[m.PlanDrainResponse]:
    """The positions that a drain would close. Needs a write key."""
    body = _without_none(buffer_pct=buffer_pct, min_units=_text(min_units))
    return Call(m.PlanDrainResponse, "/api/drain/plan", body=body)


def execute_drain(
    drain_id: str,
    *,
    buffer_pct: float | None = None,
    min_units: Decimal | None = None,
    instrument: str | None = None,
) -> Call[m.ExecuteDrainResponse]:
    """Close a plan's positions, of all instruments or one. Needs a write key."""
    limits = _without_none(buffer_pct=buffer_pct, min_units=_text(min_units), instrument=instrument)
    return Call(m.ExecuteDrainResponse, "/api/drain/execute", body={"drain_id": drain_id} | limits)


def manifold_coeffs(instrument: str, history: int = 0) -> Call[m.GetManifoldCoeffsResponse]:
    """Coefficients and metrics of an instrument's last window; metrics of so many up to it."""
    query = {"instrument": instrument} | ({"history": history} if history else {})
    return Call(m.GetManifoldCoeffsResponse, "/api/manifold/coeffs", query)


def coherence(instrument: str | None = None) -> Call[m.GetCoherenceStatusResponse]:
    """Metrics with their thresholds, of one instrument or all."""
    query = _without_none(instrument=instrument)
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
    query = _without_none(instrument=instrument, granularity=granularity, limit=limit, to=until)
    query |= _without_none(**{"from": since})
    return Call(m.ListCandlesResponse, "/api/candles", query)


def fetch_candles(
    instruments: Sequence[str] = (), *, granularity: str | None = None, count: int | None = None
) -> Call[m.FetchCandlesResponse]:
    """Fetch candles from the broker now. Needs a write key."""
    body = {"instruments": list(instruments)} | _without_none(granularity=granularity, count=count)
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


Time = str | int | None
"""RFC 3339 or ms since the epoch."""


def journal_transactions(
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    since: Time = None,
    until: Time = None,
    instrument: str | None = None,
    type: str | None = None,  # noqa: A002  the contract's name
) -> Call[m.ListLedgerResponse]:
    """A page of the account's ledger, newest first."""
    query = _page(page_size, page_token, since, until, instrument) | _without_none(type=type)
    return Call(m.ListLedgerResponse, "/api/journal/transactions", query)


def journal_trades(
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    since: Time = None,
    until: Time = None,
    instrument: str | None = None,
    only_open: bool | None = None,
) -> Call[m.ListTradesResponse]:
    """A page of trades with the parts of their results, newest first."""
    query = _page(page_size, page_token, since, until, instrument) | _without_none(open=only_open)
    return Call(m.ListTradesResponse, "/api/journal/trades", query)


def performance(*, since: Time = None, until: Time = None) -> Call[m.GetPerformanceResponse]:
    """Returns and ratios of a range, and its days."""
    query = _page(None, None, since, until, None)
    return Call(m.GetPerformanceResponse, "/api/journal/performance", query)


def costs(
    *,
    group_by: str | None = None,
    since: Time = None,
    until: Time = None,
    instrument: str | None = None,
) -> Call[m.ListCostsResponse]:
    """Costs of trades by instrument, hour, session or weekday."""
    query = _page(None, None, since, until, instrument) | _without_none(group_by=group_by)
    return Call(m.ListCostsResponse, "/api/journal/costs", query)


def decisions(
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    since: Time = None,
    until: Time = None,
    instrument: str | None = None,
    kind: str | None = None,
    reason: str | None = None,
) -> Call[m.ListDecisionsResponse]:
    """A page of recorded decisions, newest first."""
    query = _page(page_size, page_token, since, until, instrument)
    query |= _without_none(kind=kind, reason=reason)
    return Call(m.ListDecisionsResponse, "/api/decisions", query)


def decision(decision_id: str) -> Call[m.GetDecisionResponse]:
    """Everything that is recorded about one decision."""
    return Call(m.GetDecisionResponse, "/api/decisions/{id}", {"id": decision_id})


def test_notifications() -> Call[m.TestNotificationsResponse]:
    """Send a test message to every destination of notifications. Needs a write key."""
    return Call(m.TestNotificationsResponse, "/api/notifications/test", body={})


def _page(
    size: int | None, token: str | None, since: Time, until: Time, instrument: str | None
) -> dict[str, Any]:
    values = {"page_size": size, "page_token": token, "from": since, "to": until}
    return _without_none(**values, instrument=instrument)


def metrics() -> Call[str]:
    """Prometheus metrics of the whole stack."""
    return Call(str, "/metrics")


def manifolds(instrument: str | None) -> Call[m.StreamManifoldsResponse]:
    """Live manifolds, as a stream without end."""
    query = _without_none(instrument=instrument)
    return Call(m.StreamManifoldsResponse, "/api/manifold/stream", query)


def events(last_event_id: str | None) -> Call[m.StreamEventsResponse]:
    """What happens, as a stream without end."""
    query = _without_none(last_event_id=last_event_id)
    return Call(m.StreamEventsResponse, "/api/events", query)


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
