"""Publishes weights at an interval and on each new gates blob, or holds the previous ones."""

from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger

from sep_allocator.domain.allocation import (
    NOTHING,
    Allocation,
    AllocationLimits,
    Gates,
    HoldReason,
    allocate,
)
from sep_allocator.metrics import AllocatorMetrics
from sep_allocator.ports import AllocatorStore

_log = get_logger("Allocator")


class AllocationLoop:
    """Reads the gates, allocates and publishes, on the replica that holds the lease."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        calendar: SessionCalendar,
        limits: AllocationLimits,
        store: AllocatorStore,
        clock: Clock,
        metrics: AllocatorMetrics,
    ) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._limits = limits
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._logged: HoldReason | None = None

    async def tick(self) -> None:
        """Allocate and publish once.

        Raises:
            StoreUnavailableError: Valkey does not answer; the stored weights do not change.
        """
        if not self._store.is_writer:
            self._metrics.forget()
            return
        now = now_ms(self._clock)
        gates = await self._read_gates()
        signals = await self._store.latest_signals(self._instruments)
        sessions = {i: self._calendar.state(i, now // 1000) for i in self._instruments}
        previous = await self._read_previous()
        allocation = allocate(
            gates,
            {i: s.window for i, s in signals.items()},
            sessions,
            previous,
            self._limits,
            now,
            market_open=self._calendar.market_open(now // 1000),
            managed=await self._store.read_managed_units(),
        )
        await self._store.publish_weights(
            allocation, top_k=self._limits.top_k, notify=allocation.ts != previous.ts
        )
        self._log_changes(allocation, previous, now)
        readable = gates if isinstance(gates, Gates) else None
        self._metrics.show(
            allocation,
            self._instruments,
            readable.cooldowns if readable else None,
            readable.ts if readable else None,
        )

    async def _read_gates(self) -> Gates | HoldReason:
        try:
            return await self._store.read_gates() or HoldReason.BLOB_MISSING
        except CorruptRecordError as error:
            if self._logged is not HoldReason.BLOB_MALFORMED:
                _log.error("gates blob refused", error=str(error))
            return HoldReason.BLOB_MALFORMED

    async def _read_previous(self) -> Allocation:
        try:
            return await self._store.read_allocation()
        except CorruptRecordError as error:
            # Unreadable weights can't be held: nothing is allocated until there is a fresh blob.
            _log.error("previous weights refused", error=str(error))
            return NOTHING

    def _log_changes(self, allocation: Allocation, previous: Allocation, now: int) -> None:
        if allocation.held_reason is not self._logged:
            self._logged = allocation.held_reason
            if allocation.held_reason is None:
                _log.info("weights no longer held")
            else:
                age = None if not allocation.gates_ts else (now - allocation.gates_ts) / 1000
                _log.warning("weights held", reason=allocation.held_reason, gates_age_s=age)
        if set(allocation.weights) != set(previous.weights):
            _log.info("selection changed", weights=dict(allocation.weights))
