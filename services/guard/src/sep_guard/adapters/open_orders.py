"""Orders of unknown fate: the HASH ``guard:open_orders`` in Valkey, and this process's own.

An intent is kept before it is sent and forgotten only once its fate is known, so
nothing that was sent is lost, whatever is killed in between. What this process sent it
knows by itself as well: a store that is wiped, or away, takes nothing from it.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document

from sep_guard.domain.orders import Intent


class IntentRecord(Document):
    """The stored form of an intent."""

    client_order_id: str
    decision_id: str
    instrument: str
    units: Decimal
    reduce_only: bool
    stop_loss: Decimal | None
    take_profit: Decimal | None
    price_bound: Decimal | None
    since_transaction_id: str
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Pending:
    """Orders of one instrument whose fate is not known, and records that can't be read.

    What can't be read is an order too: no entry until somebody has looked at it.
    """

    intents: tuple[Intent, ...] = ()
    faults: tuple[str, ...] = ()


class OpenOrders:
    """Keeps intents; the writes are queued for whoever holds the lease.

    Args:
        elapsed: seconds that nobody can set back or forward.
    """

    def __init__(self, store: Valkey, elapsed: Callable[[], float]) -> None:
        self._store = store
        self._elapsed = elapsed
        self._sent: dict[str, Intent] = {}
        self._first_seen: dict[str, float] = {}

    async def load(self) -> dict[str, Pending]:
        """Open orders by instrument, whatever the instrument; none has no entry.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        stored = await reply(self._store.hgetall(keys.OPEN_ORDERS))
        intents = dict(self._sent)
        faults: dict[str, list[str]] = defaultdict(list)
        for field, raw in stored.items():
            instrument, _, client_order_id = field.decode(errors="replace").partition(":")
            try:
                record = parse_document(IntentRecord, f"{keys.OPEN_ORDERS} {instrument}", raw)
                intents[client_order_id] = Intent(**record.model_dump())
            except CorruptRecordError as error:
                faults[instrument].append(str(error))
        now = self._elapsed()
        self._first_seen = {i: self._first_seen.get(i, now) for i in intents}
        found: dict[str, list[Intent]] = defaultdict(list)
        for intent in intents.values():
            found[intent.instrument].append(intent)
        return {i: Pending(tuple(found[i]), tuple(faults[i])) for i in sorted({*found, *faults})}

    def watched_ms(self, intent: Intent) -> int:
        """For how long this process has known of the order without knowing its fate."""
        since = self._first_seen.get(intent.client_order_id)
        return 0 if since is None else int((self._elapsed() - since) * 1000)

    def sending(self, intent: Intent) -> None:
        """Remember an order that is about to be sent."""
        self._sent[intent.client_order_id] = intent
        self._first_seen.setdefault(intent.client_order_id, self._elapsed())

    def settled(self, intent: Intent) -> None:
        """Forget an order whose fate is known."""
        self._sent.pop(intent.client_order_id, None)


def queue_intent(pipe: Pipeline, intent: Intent) -> None:
    """Queue an intent, to be kept before it is sent."""
    text = IntentRecord.model_validate(intent, from_attributes=True).model_dump_json()
    pipe.hset(keys.OPEN_ORDERS, mapping={_field(intent): text})


def queue_forget(pipe: Pipeline, intent: Intent) -> None:
    """Queue forgetting an intent whose fate is known."""
    pipe.hdel(keys.OPEN_ORDERS, _field(intent))


def _field(intent: Intent) -> str:
    return f"{intent.instrument}:{intent.client_order_id}"
