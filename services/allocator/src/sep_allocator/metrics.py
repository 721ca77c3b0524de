"""Prometheus metrics of the allocator."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge
from sep_kit.clock import Clock, now_ms

from sep_allocator.domain.allocation import Allocation


class AllocatorMetrics:
    """Selection, cooldowns and ages."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._selected = Gauge(
            "sep_allocator_selected", "1 while selected", ["instrument"], registry=registry
        )
        self._weight = Gauge(
            "sep_allocation_weight", "Share of margin available", ["instrument"], registry=registry
        )
        self._cooldown = Gauge(
            "sep_allocator_cooldown", "1 while cooling down", ["instrument"], registry=registry
        )
        # Ages are computed at each scrape, so that they grow while nothing can be read.
        self._clock = clock
        self._blob_ts: int | None = None
        self._weights_ts: int | None = None
        Gauge(
            "sep_gates_blob_age_seconds", "Age of the gates blob", registry=registry
        ).set_function(lambda: self._age(self._blob_ts))
        Gauge(
            "sep_allocation_weights_age_seconds", "Age of the weights", registry=registry
        ).set_function(lambda: self._age(self._weights_ts))
        self._held = Gauge(
            "sep_allocation_held", "1 while earlier weights are held", registry=registry
        )

    def show(
        self,
        allocation: Allocation,
        instruments: Sequence[str],
        cooldowns: Mapping[str, bool] | None,
        blob_ts: int | None,
    ) -> None:
        """Set the metrics of an allocation; without a readable blob the last one's age grows."""
        for instrument in instruments:
            self._selected.labels(instrument).set(instrument in allocation.weights)
            self._weight.labels(instrument).set(allocation.weights.get(instrument, 0.0))
            if cooldowns is not None:
                self._cooldown.labels(instrument).set(cooldowns.get(instrument, False))
        self._blob_ts = blob_ts or allocation.gates_ts
        self._weights_ts = allocation.ts or None
        self._held.set(allocation.held)

    def forget(self) -> None:
        """Drop the metrics on a replica that is not the writer."""
        self._selected.clear()
        self._weight.clear()
        self._cooldown.clear()
        self._blob_ts = self._weights_ts = None
        self._held.set(0)

    def _age(self, made_ms: int | None) -> float:
        return float("nan") if made_ms is None else (now_ms(self._clock) - made_ms) / 1000
