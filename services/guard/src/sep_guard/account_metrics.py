"""Prometheus metrics of the account against its limits: margin, stops, sessions, orders."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge

from sep_guard.domain.budget import budget_at_ceiling
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.margin_model import margin_ratio
from sep_guard.domain.market import Market
from sep_guard.domain.stop_guard import StopFault, StopRepair
from sep_guard.domain.view import View

_UNKNOWN = float("nan")


class AccountMetrics:
    """Margin in use, and faults of the account: lost stops, units outside sessions, lost orders."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._margin_used = Gauge(
            "sep_margin_used", "Margin in use by the broker's count", registry=registry
        )
        self._ceiling = Gauge(
            "sep_margin_ceiling", "Margin that may be in use at most", registry=registry
        )
        self._ratio = Gauge(
            "sep_margin_model_ratio",
            "The broker's margin in use as a multiple of the guard's model",
            registry=registry,
        )
        self._stops = Gauge(
            "sep_trade_stop_faults", "Trades whose stop is not as decided",
            ["instrument", "fault"], registry=registry,
        )  # fmt: skip
        self._outside = Gauge(
            "sep_units_outside_session", "Units held while the session is closed",
            ["instrument"], registry=registry,
        )  # fmt: skip
        self._unknown = Gauge(
            "sep_order_unknown_seconds", "Age of the oldest order of unknown outcome",
            ["instrument"], registry=registry,
        )  # fmt: skip
        self._left_out = Gauge(
            "sep_instrument_left_out", "1 for an instrument that decisions can't use",
            ["instrument"], registry=registry,
        )  # fmt: skip
        self._skipped = Counter(
            "sep_guard_cycles_skipped_total", "Cycles that were left out", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.clear()

    def show(self, view: View, limits: PortfolioLimits) -> None:
        """Set the gauges to a view."""
        account = view.account
        self._margin_used.set(float(account.margin_used))
        self._ceiling.set(float(budget_at_ceiling(account, limits).ceiling))
        ratio = margin_ratio(account, view.markets.values())
        self._ratio.set(_UNKNOWN if ratio is None else float(ratio))
        _set(self._outside, {n: _outside(m, view.now_ms) for n, m in view.markets.items()})
        unusable = {n for n, m in view.markets.items() if not m.listed or m.holding.left_out}
        _set(self._left_out, dict.fromkeys({*unusable, *view.left_out}, Decimal(1)))

    def show_stops(self, repairs: Iterable[StopRepair]) -> None:
        """Set the trades whose stop is lost or moved."""
        counts: dict[tuple[str, StopFault], int] = {}
        for repair in repairs:
            key = (repair.instrument, repair.fault)
            counts[key] = counts.get(key, 0) + 1
        self._stops.clear()
        for (instrument, fault), count in counts.items():
            self._stops.labels(instrument, fault).set(count)

    def show_unknown_orders(self, ages: Mapping[str, float]) -> None:
        """Set the ages of orders whose outcome is unknown."""
        self._unknown.clear()
        for instrument, age in ages.items():
            self._unknown.labels(instrument).set(age)

    def count_skipped(self, reason: str) -> None:
        """Count a cycle that was not planned, by the reason."""
        self._skipped.labels(reason).inc()

    def clear(self) -> None:
        """Clear all gauges, on a replica that does not read the account."""
        for gauge in (self._margin_used, self._ceiling, self._ratio):
            gauge.set(_UNKNOWN)
        for labelled in (self._stops, self._outside, self._unknown, self._left_out):
            labelled.clear()


def _outside(market: Market, now_ms: int) -> Decimal:
    week = market.week_closes_s
    closed = not market.session.open or (week is not None and week * 1000 <= now_ms)
    return abs(market.holding.managed) if closed else Decimal(0)


def _set(gauge: Gauge, values: Mapping[str, Decimal]) -> None:
    gauge.clear()
    for instrument, value in values.items():
        if value:
            gauge.labels(instrument).set(float(value))
