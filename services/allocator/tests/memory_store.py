"""In-memory twin of the allocator's store."""

from collections.abc import Mapping, Sequence

from sep_allocator.domain.allocation import NOTHING, Allocation, Gates, ManagedUnits, StoredWeights
from sep_allocator.domain.score import Signal
from sep_kit.errors import CorruptRecordError, NotTheWriterError


class InMemoryAllocatorStore:
    """Implements ``AllocatorStore``; an error set as ``gates`` or ``allocation`` is raised."""

    def __init__(self) -> None:
        self.is_writer = True
        self.gates: Gates | CorruptRecordError | None = None
        self.signals: Mapping[str, Signal] = {}
        self.allocation: Allocation | CorruptRecordError | None = None
        self.managed: ManagedUnits | None = None
        self.notified: list[int] = []

    async def read_gates(self) -> Gates | None:
        if isinstance(self.gates, CorruptRecordError):
            raise self.gates
        return self.gates

    async def latest_signals(self, instruments: Sequence[str]) -> dict[str, Signal]:
        return {i: self.signals[i] for i in instruments if i in self.signals}

    async def read_managed_units(self) -> ManagedUnits | None:
        return self.managed

    async def read_allocation(self) -> Allocation:
        if isinstance(self.allocation, CorruptRecordError):
            raise self.allocation
        return self.allocation or NOTHING

    async def read_weights(self) -> StoredWeights | None:
        if isinstance(self.allocation, CorruptRecordError):
            raise self.allocation
        stored = self.allocation
        if stored is None:
            return None
        return StoredWeights(
            ts=stored.ts,
            weights=stored.weights,
            held=stored.held,
            held_reason=stored.held_reason or "",
        )

    async def publish_weights(self, allocation: Allocation, *, top_k: int, notify: bool) -> None:
        if not self.is_writer:
            raise NotTheWriterError("this replica does not hold the allocator lease; ask again")
        self.allocation = allocation
        if notify:
            self.notified.append(allocation.ts)
