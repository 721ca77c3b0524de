"""Refuses orders of a writer that was replaced, and entries that were decided too long ago."""

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import OrderTooOldError, StaleTokenError, StoreUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.domain.order_age import age_fault
from sep_gateway.domain.orders import Decided
from sep_gateway.ports import FenceStore

_log = get_logger("OrderService")


class OrderFence:
    """The newest fencing token seen, in the store and in memory, and the age of decisions.

    Args:
        max_age_s: an entry's decision may be this old.
    """

    def __init__(self, store: FenceStore, clock: Clock, max_age_s: float) -> None:
        self._store = store
        self._clock = clock
        self._max_age_s = max_age_s
        self._newest = 0

    async def check_token(self, decided: Decided, *, reduces: bool) -> None:
        """Refuse a token older than the newest; without a store, than the newest in memory.

        Raises:
            StaleTokenError: a newer writer has ordered.
            StoreUnavailableError: whether one has is not known, so an entry is refused.
        """
        if not decided.token:
            return
        self._refuse_older(decided.token)
        try:
            newest = await self._store.admit(decided.token)
        except StoreUnavailableError:
            if not reduces:
                raise
            newest = decided.token
        self._newest = max(self._newest, newest)
        self._refuse_older(decided.token)

    def check_age(self, decided: Decided) -> None:
        """Refuse an entry whose decision is too old; for entries only.

        Raises:
            OrderTooOldError: it is, or it is dated in the future.
        """
        fault = age_fault(decided.at_ms, now_ms(self._clock), self._max_age_s)
        if fault is not None:
            raise OrderTooOldError(f"the entry is not sent: {fault}")

    def _refuse_older(self, token: int) -> None:
        if token < self._newest:
            _log.warning("order of a replaced writer refused", token=token, newest=self._newest)
            raise StaleTokenError(
                f"the order has the fencing token {token}, but {self._newest} has been seen: "
                "another replica has taken over",
                token=str(token),
                newest=str(self._newest),
            )
