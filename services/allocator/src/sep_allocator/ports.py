"""What the allocator needs from outside: a store."""

from collections.abc import Sequence
from typing import Protocol

from sep_allocator.domain.allocation import Allocation, Gates, ManagedUnits, StoredWeights
from sep_allocator.domain.score import Signal


class AllocatorStore(Protocol):
    """What the allocator reads and publishes.

    Every operation raises ``StoreUnavailableError`` if the store does not answer.
    """

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it knows."""
        ...

    async def read_gates(self) -> Gates | None:
        """The gates as last published by the evaluator, None if there are none.

        Raises:
            CorruptRecordError: the stored document is malformed.
        """
        ...

    async def latest_signals(self, instruments: Sequence[str]) -> dict[str, Signal]:
        """The newest signal of each instrument; missing and malformed ones are left out."""
        ...

    async def read_managed_units(self) -> ManagedUnits | None:
        """Instruments in which the guard manages units; None if missing or malformed."""
        ...

    async def read_allocation(self) -> Allocation:
        """The stored allocation, ``NOTHING`` if there is none.

        Raises:
            CorruptRecordError: the stored document is malformed, or its hold reason unknown.
        """
        ...

    async def read_weights(self) -> StoredWeights | None:
        """The stored weights for reports, None if there are none.

        Raises:
            CorruptRecordError: the stored document is malformed.
        """
        ...

    async def publish_weights(self, allocation: Allocation, *, top_k: int, notify: bool) -> None:
        """Store an allocation and, with ``notify``, notify subscribers.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was written.
        """
        ...
