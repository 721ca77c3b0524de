"""Every interval and on each new blob: weights, or hold."""

from redis.asyncio.client import Pipeline
from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore

from sep_allocator.convert import allocation_of, gates_of, record_of, window_of
from sep_allocator.domain.allocation import (
    Allocation,
    AllocationLimits,
    Gates,
    HoldReason,
    allocate,
)
from sep_allocator.metrics import AllocatorMetrics

_log = get_logger("Allocator")


class AllocationLoop:
    """Reads the blob, decides, publishes; on the replica that holds the lease."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        calendar: SessionCalendar,
        limits: AllocationLimits,
        store: Valkey,
        lease: Lease,
        clock: Clock,
        metrics: AllocatorMetrics,
    ) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._limits = limits
        self._store = store
        self._signals = SignalStore(store)
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._said: HoldReason | None = None

    async def tick(self) -> None:
        """Allocate once.

        Raises:
            StoreUnavailableError: Valkey does not answer; the weights stay as they are.
        """
        if not self._lease.held:
            self._metrics.forget()
            return
        now = now_ms(self._clock)
        blob = await self._blob()
        signals = await self._signals.latest(self._instruments)
        windows = {i: window_of(s) for i, s in signals.items() if isinstance(s, SignalRecord)}
        sessions = {i: self._calendar.state(i, now // 1000) for i in self._instruments}
        previous = await self._previous()
        allocation = allocate(
            blob, windows, sessions, previous, self._limits, now,
            market_open=self._calendar.market_open(now // 1000),
        )  # fmt: skip
        is_new = allocation.ts != previous.ts
        await self._lease.write(lambda pipe: self._queue(pipe, allocation, is_new=is_new))
        self._tell(allocation, previous, now)
        gates = blob if isinstance(blob, Gates) else None
        self._metrics.show(
            allocation,
            self._instruments,
            gates.cooldowns if gates else None,
            gates.ts if gates else None,
        )

    def _queue(self, pipe: Pipeline, allocation: Allocation, *, is_new: bool) -> None:
        record = record_of(allocation, self._limits.top_k)
        pipe.set(keys.ALLOCATION_WEIGHTS, record.model_dump_json())
        if is_new:
            pipe.publish(keys.WEIGHTS_CHANNEL, str(allocation.ts))

    async def _blob(self) -> Gates | HoldReason:
        try:
            blob = await read_document(self._store, GatesBlob, keys.GATES_BLOB)
        except CorruptRecordError as error:
            if self._said is not HoldReason.BLOB_MALFORMED:
                _log.error("blob refused", error=str(error))
            return HoldReason.BLOB_MALFORMED
        return HoldReason.BLOB_MISSING if blob is None else gates_of(blob)

    async def _previous(self) -> Allocation:
        try:
            record = await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
            return allocation_of(record)
        except (CorruptRecordError, ValueError) as error:
            # Weights that can't be read can't be held: nothing is allocated until a fresh blob.
            _log.error("previous weights refused", error=str(error))
            return allocation_of(None)

    def _tell(self, allocation: Allocation, previous: Allocation, now: int) -> None:
        if allocation.held_reason is not self._said:
            self._said = allocation.held_reason
            if allocation.held_reason is None:
                _log.info("weights follow the blob again")
            else:
                age = None if not allocation.gates_ts else (now - allocation.gates_ts) / 1000
                _log.warning("weights held", reason=allocation.held_reason, gates_age_s=age)
        if set(allocation.weights) != set(previous.weights):
            _log.info("selection changed", weights=dict(allocation.weights))
