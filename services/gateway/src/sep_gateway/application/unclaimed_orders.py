"""Reductions that were sent while the store could not take their claim."""

from sep_kit.errors import StoreUnavailableError

from sep_gateway.ports import OrderClaim, OrderClaimStore

_MOST = 10_000


class UnclaimedOrders:
    """Their claims in memory, until the store takes them.

    So the same id is not sent twice meanwhile, and their fills are known as this stack's.
    """

    def __init__(self, store: OrderClaimStore) -> None:
        self._store = store
        self._claims: dict[str, OrderClaim] = {}

    def add(self, key: str, claim: OrderClaim) -> bool:
        """Note a claim; False when the key has one already."""
        if key in self._claims:
            return False
        while len(self._claims) >= _MOST:
            del self._claims[next(iter(self._claims))]
        self._claims[key] = claim
        return True

    def get(self, key: str) -> OrderClaim | None:
        """The claim of a key, if the store has not taken it yet."""
        return self._claims.get(key)

    async def flush(self) -> None:
        """Write the claims to the store; those that it does not take stay for the next time."""
        for key, claim in list(self._claims.items()):
            try:
                await self._store.record(key, claim)
            except StoreUnavailableError:
                return
            self._claims.pop(key, None)
