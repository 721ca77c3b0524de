"""The allocator's store over Valkey; weights are written under the writer lease."""

from collections.abc import Sequence

from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError
from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore

from sep_allocator.adapters.records import (
    allocation_of,
    gates_of,
    managed_units_of,
    record_of,
    signal_of,
    stored_weights_of,
)
from sep_allocator.domain.allocation import Allocation, Gates, ManagedUnits, StoredWeights
from sep_allocator.domain.score import Signal

_log = get_logger("Allocator")


class ValkeyAllocatorStore:
    """Implements ``AllocatorStore``."""

    def __init__(self, store: Valkey, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._signals = SignalStore(store)

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it knows."""
        return self._lease.held

    async def read_gates(self) -> Gates | None:
        """The gates as last published by the evaluator, None if there are none."""
        blob = await read_document(self._store, GatesBlob, keys.GATES_BLOB)
        return None if blob is None else gates_of(blob)

    async def latest_signals(self, instruments: Sequence[str]) -> dict[str, Signal]:
        """The newest signal of each instrument; missing and malformed ones are left out."""
        found = await self._signals.latest(instruments)
        return {i: signal_of(s) for i, s in found.items() if isinstance(s, SignalRecord)}

    async def read_managed_units(self) -> ManagedUnits | None:
        """Instruments in which the guard manages units; None if missing or malformed."""
        try:
            return managed_units_of(await reply(self._store.hgetall(keys.MANAGED_UNITS)))
        except (StoreUnavailableError, ValueError) as error:
            if isinstance(error, StoreUnavailableError) and not isinstance(
                error.__cause__, ResponseError
            ):
                raise
            _log.warning("managed units unreadable", key=keys.MANAGED_UNITS, error=str(error))
            return None

    async def read_allocation(self) -> Allocation:
        """The stored allocation, ``NOTHING`` if there is none."""
        record = await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        try:
            return allocation_of(record)
        except ValueError as error:
            key = keys.ALLOCATION_WEIGHTS
            raise CorruptRecordError(f"{key} is malformed: held_reason: {error}", key=key) from None

    async def read_weights(self) -> StoredWeights | None:
        """The stored weights for reports, None if there are none."""
        record = await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        return None if record is None else stored_weights_of(record)

    async def publish_weights(self, allocation: Allocation, *, top_k: int, notify: bool) -> None:
        """Store an allocation and, with ``notify``, notify subscribers; one transaction."""
        record = record_of(allocation, top_k).model_dump_json()

        def queue(pipe: Pipeline) -> None:
            pipe.set(keys.ALLOCATION_WEIGHTS, record)
            if notify:
                pipe.publish(keys.WEIGHTS_CHANNEL, str(allocation.ts))

        await self._lease.write(queue)
