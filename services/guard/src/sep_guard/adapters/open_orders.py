"""Orders of unknown fate in Valkey: ``guard:open_order:{instrument}``, a HASH by client order id.

An intent is kept before it is sent and forgotten only once its fate is known, so
nothing that was sent is lost, whatever is killed in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors
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

    def __bool__(self) -> bool:
        return bool(self.intents or self.faults)


class OpenOrders:
    """Keeps intents; the writes are queued for whoever holds the lease."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def load(self, instruments: Sequence[str]) -> "dict[str, Pending]":
        """Open orders by instrument, in one round trip.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                pipe.hgetall(keys.open_order(instrument))
            found = await pipe.execute()
        return {
            instrument: _pending(instrument, fields.values())
            for instrument, fields in zip(instruments, found, strict=True)
        }

    def queue(self, pipe: Pipeline, intent: Intent) -> None:
        """Queue an intent, to be kept before it is sent."""
        text = IntentRecord.model_validate(intent, from_attributes=True).model_dump_json()
        pipe.hset(keys.open_order(intent.instrument), mapping={intent.client_order_id: text})

    def queue_forget(self, pipe: Pipeline, intent: Intent) -> None:
        """Queue forgetting an intent whose fate is known."""
        pipe.hdel(keys.open_order(intent.instrument), intent.client_order_id)


def _pending(instrument: str, found: Iterable[bytes]) -> Pending:
    intents, faults = [], []
    for raw in found:
        try:
            record = parse_document(IntentRecord, keys.open_order(instrument), raw)
            intents.append(Intent(**record.model_dump()))
        except CorruptRecordError as error:
            faults.append(str(error))
    return Pending(tuple(intents), tuple(faults))
