"""The state of the broker connection in Valkey: ``ops:broker_link``."""

from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.records import BrokerLinkRecord

from sep_gateway.domain.broker_link import LinkState


class ValkeyBrokerLinkStore:
    """Implements ``ports.BrokerLinkStore``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def save(self, state: LinkState) -> None:
        """Persist the state."""
        record = BrokerLinkRecord(
            ts=state.ts_ms,
            connected=state.connected,
            last_contact_ms=state.last_contact_ms,
            error=state.error,
            ledger_contiguous=state.ledger_contiguous,
            last_transaction_id=state.last_transaction_id,
            price_stream_connected=state.price_stream_connected,
            left_out=state.left_out,
            unsupported_kinds=state.unsupported_kinds,
            clock_skew_s=state.clock_skew_s,
        )
        await reply(self._store.set(keys.BROKER_LINK, record.model_dump_json()))
