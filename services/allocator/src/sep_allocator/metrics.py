"""What the allocator tells Prometheus."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge

from sep_allocator.domain.allocation import Allocation


class AllocatorMetrics:
    """Selection, cooldowns and ages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._selected = Gauge(
            "sep_allocator_selected", "1 while selected", ["instrument"], registry=registry
        )
        self._cooldown = Gauge(
            "sep_allocator_cooldown", "1 while cooling down", ["instrument"], registry=registry
        )
        self._blob_age = Gauge(
            "sep_gates_blob_age_seconds", "Age of the gates blob", registry=registry
        )
        self._weights_age = Gauge(
            "sep_allocation_weights_age_seconds", "Age of the weights", registry=registry
        )
        self._held = Gauge(
            "sep_allocation_held", "1 while earlier weights are held", registry=registry
        )
        self._blob_age.set(float("nan"))
        self._weights_age.set(float("nan"))

    def show(
        self,
        allocation: Allocation,
        instruments: Sequence[str],
        cooldowns: Mapping[str, bool] | None,
        blob_ts: int | None,
        now_ms: int,
    ) -> None:
        """Show an allocation; a blob that can't be read leaves its last cooldowns standing."""
        for instrument in instruments:
            self._selected.labels(instrument).set(instrument in allocation.weights)
            if cooldowns is not None:
                self._cooldown.labels(instrument).set(cooldowns.get(instrument, False))
        if blob_ts is not None:
            self._blob_age.set((now_ms - blob_ts) / 1000)
        if allocation.ts:
            self._weights_age.set((now_ms - allocation.ts) / 1000)
        self._held.set(allocation.held)

    def forget(self) -> None:
        """Show nothing: another replica is the one that allocates."""
        self._selected.clear()
        self._cooldown.clear()
