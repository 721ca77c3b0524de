"""Prometheus metrics of the guard."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from sep_guard.account_metrics import AccountMetrics
from sep_guard.domain.actions import Action, Plan
from sep_guard.domain.drain import Close
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.margin_gate import utilisation
from sep_guard.domain.market import Account
from sep_guard.domain.risk.breaker import BreakerCause
from sep_guard.domain.risk.locks import active
from sep_guard.domain.risk.report import LimitRow
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.stop_guard import StopRepair
from sep_guard.domain.view import View


class GuardMetrics:
    """Account, controls, decisions and orders."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._state = AccountMetrics(registry)
        self._nav = Gauge("sep_nav", "Net asset value in home currency", registry=registry)
        self._utilisation = Gauge(
            "sep_margin_utilization", "marginUsed / (marginUsed + marginAvailable)",
            registry=registry,
        )  # fmt: skip
        self._kill_switch = Gauge("sep_kill_switch", "1 while engaged", registry=registry)
        self._budget = Gauge("sep_risk_budget", "Margin that may be in use", registry=registry)
        self._decisions = Counter(
            "sep_guard_decisions_total",
            "Decisions by kind and reason",
            ["instrument", "decision", "reason"],
            registry=registry,
        )
        self._orders = Counter(
            "sep_guard_orders_total", "Orders by outcome", ["instrument", "outcome"],
            registry=registry,
        )  # fmt: skip
        self._headroom = Gauge(
            "sep_risk_headroom_ratio", "Share of a risk limit that is left", ["limit"],
            registry=registry,
        )  # fmt: skip
        self._breaker = Gauge(
            "sep_risk_breaker", "1 while the breaker is tripped by this cause", ["limit"],
            registry=registry,
        )  # fmt: skip
        self._locks = Gauge(
            "sep_risk_lock", "1 while the instrument is locked", ["instrument", "cause"],
            registry=registry,
        )  # fmt: skip
        self._kill_switch.set(1)
        self.clear_account()

    def show_cycle(self, view: View, plan: Plan, limits: PortfolioLimits) -> None:
        """Set the gauges to the view and budget of a cycle."""
        self.show_account(view.account)
        self._state.show(view, limits)
        self._kill_switch.set(view.controls.kill_switch)
        self._budget.set(float(plan.budget.total))

    def show_risk(self, state: RiskState, now_ms: int) -> None:
        """Set breaker and locks."""
        for cause in BreakerCause:
            self._breaker.labels(cause).set(state.trip is not None and state.trip.cause is cause)
        self._locks.clear()
        for lock in active(state.locks, now_ms):
            self._locks.labels(lock.instrument, lock.cause).set(1)

    def show_headroom(self, rows: Iterable[LimitRow]) -> None:
        """Set what is left of each limit; NaN where it is unknown."""
        for row in rows:
            left = float("nan") if row.headroom is None else float(row.headroom)
            self._headroom.labels(row.limit).set(left)

    def show_account(self, account: Account) -> None:
        """Set the account's gauges, between cycles."""
        self._nav.set(float(account.nav))
        self._utilisation.set(float(utilisation(account)))

    def clear_account(self) -> None:
        """Set the account's gauges to NaN and drop the limits': another replica reads them."""
        for gauge in (self._nav, self._utilisation, self._budget):
            gauge.set(float("nan"))
        for gauge in (self._headroom, self._breaker, self._locks):
            gauge.clear()
        self._state.clear()

    def show_stops(self, repairs: Iterable[StopRepair]) -> None:
        """Set the trades whose stop is lost or moved."""
        self._state.show_stops(repairs)

    def show_unknown_orders(self, ages: Mapping[str, float]) -> None:
        """Set the ages of orders whose outcome is unknown."""
        self._state.show_unknown_orders(ages)

    def count_skipped(self, reason: str) -> None:
        """Count a cycle that was left out."""
        self._state.count_skipped(reason)

    def show_kill_switch(self, engaged: bool) -> None:
        """Set the kill switch's gauge."""
        self._kill_switch.set(engaged)

    def count(self, action: Action) -> None:
        """Count a decision once under each of its reasons."""
        for reason in action.reasons or ("NONE",):
            self._decisions.labels(action.instrument, action.kind, reason).inc()

    def count_close(self, close: Close) -> None:
        """Count one close of a drain."""
        self._decisions.labels(close.instrument, "DRAIN", close.reason).inc()

    def count_order(self, instrument: str, outcome: str) -> None:
        """Count an order."""
        self._orders.labels(instrument, outcome).inc()
