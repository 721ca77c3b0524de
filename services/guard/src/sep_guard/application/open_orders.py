"""Orders of unknown outcome: the persisted ones, and those that this process sent.

An order is persisted before it is sent and removed once its outcome is known, so none is
lost in a crash. This process also remembers its own orders, so none is lost with the store.
"""

from collections import deque
from collections.abc import Callable

from sep_guard.domain.orders import Intent
from sep_guard.ports import GuardStore, StoredOrders

_REMEMBERED = 5_000


class OpenOrders:
    """Tracks orders until their outcome is known.

    Args:
        elapsed: a monotonic clock, in seconds.
    """

    def __init__(self, store: GuardStore, elapsed: Callable[[], float]) -> None:
        self._store = store
        self._elapsed = elapsed
        self._sent: dict[str, Intent] = {}
        self._last: dict[str, Intent] = {}
        self._first_seen: dict[str, float] = {}
        self._ids: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def sent_ids(self) -> frozenset[str]:
        """Client order ids that this process sent, the last thousands of them."""
        return frozenset(self._ids)

    def unknown_for_s(self) -> dict[str, float]:
        """How long the oldest order of unknown outcome is known, by instrument."""
        now, ages = self._elapsed(), dict[str, float]()
        for client_id, intent in self._last.items():
            age = now - self._first_seen.get(client_id, now)
            ages[intent.instrument] = max(age, ages.get(intent.instrument, 0.0))
        return ages

    async def load(self) -> dict[str, StoredOrders]:
        """Open orders by instrument, of any instrument; one without open orders is absent.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        stored = await self._store.open_orders()
        intents = dict(self._sent)
        intents |= {i.client_order_id: i for orders in stored.values() for i in orders.intents}
        now = self._elapsed()
        self._last = intents
        self._first_seen = {i: self._first_seen.get(i, now) for i in intents}
        instruments = {i.instrument for i in intents.values()} | stored.keys()
        return {
            name: StoredOrders(
                tuple(i for i in intents.values() if i.instrument == name),
                stored[name].faults if name in stored else (),
            )
            for name in sorted(instruments)
        }

    async def instruments(self) -> frozenset[str]:
        """Instruments with open orders.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        return frozenset(await self.load())

    def watched_ms(self, intent: Intent) -> int:
        """How long this process has known of the order without knowing its outcome."""
        since = self._first_seen.get(intent.client_order_id)
        return 0 if since is None else int((self._elapsed() - since) * 1000)

    def sending(self, intent: Intent) -> None:
        """Remember an order that is about to be sent."""
        self._sent[intent.client_order_id] = intent
        self._ids.append(intent.client_order_id)
        self._first_seen.setdefault(intent.client_order_id, self._elapsed())

    def settled(self, intent: Intent) -> None:
        """Forget an order whose outcome is known."""
        self._sent.pop(intent.client_order_id, None)
        self._last.pop(intent.client_order_id, None)
