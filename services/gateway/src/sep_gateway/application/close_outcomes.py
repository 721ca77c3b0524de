"""Which close each outcome in the ledger belongs to.

The broker takes no client id with the close of a trade: two closes of the same units of one trade
look alike in the ledger, so a lost one would be taken for filled by the fill of the next.
"""

from collections.abc import Iterable

from sep_kit.errors import CorruptRecordError, StoreUnavailableError

from sep_gateway.domain.orders import OrderResult
from sep_gateway.ports import OrderClaimStore

_MOST = 10_000


class CloseOutcomes:
    """Gives each outcome to one close: the answered one, else the first that is looked up.

    While the store is away this process alone remembers them.
    """

    def __init__(self, store: OrderClaimStore) -> None:
        self._store = store
        self._owners: dict[int, str] = {}

    async def note(self, client_order_id: str, result: OrderResult) -> None:
        """Take note of the outcome that a close was answered with."""
        if result.transaction_id:
            await self._owner(result.transaction_id, client_order_id or "without an id")

    async def first_of(
        self, client_order_id: str, candidates: Iterable[OrderResult]
    ) -> OrderResult | None:
        """The first candidate that belongs to no other close; one that is pending has no owner."""
        for result in candidates:
            transaction = result.transaction_id
            if not transaction or (
                await self._owner(transaction, client_order_id) == client_order_id
            ):
                return result
        return None

    async def _owner(self, transaction_id: int, client_order_id: str) -> str:
        """The close that an outcome belongs to; the given one where it belonged to none."""
        owner = self._owners.get(transaction_id)
        if owner is not None:
            return owner
        try:
            owner = await self._store.give_outcome(transaction_id, client_order_id)
        except (StoreUnavailableError, CorruptRecordError):
            owner = client_order_id
        while len(self._owners) >= _MOST:
            del self._owners[next(iter(self._owners))]
        self._owners[transaction_id] = owner
        return owner
