"""How the gateway stands with the broker: asked every second, told to everybody."""

from sep_fx.instants import NS_PER_MS, NS_PER_SECOND
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.records import BrokerLinkRecord

from sep_gateway.ledger_watch import LedgerWatch
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker
from sep_gateway.stream_keeper import StreamKeeper

_log = get_logger("BrokerLink")

INTERVAL_S = 1.0
_MAX_SILENCE_S = 10.0


class BrokerLink:
    """The heartbeat: the account summary, and when it was last heard."""

    def __init__(
        self,
        broker: Broker,
        ledger: LedgerWatch,
        price_stream: StreamKeeper,
        store: Valkey,
        lease: Lease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._price_stream = price_stream
        self._store = store
        self._lease = lease
        self._clock = clock
        self._connected = metrics.connected
        self._heard_at_ns: int | None = None
        self._error = "has not been asked yet"
        self._last_transaction_id: int | None = None

    async def tick(self) -> None:
        """Ask the broker, and write down how it went.

        Raises:
            StoreUnavailableError: it could not be written down.
        """
        was = self._error
        try:
            account = await self._broker.account()
            self._heard_at_ns = self._clock.now_ns()
            self._last_transaction_id = account.last_transaction_id
            await self._ledger.heard_of(account.last_transaction_id)
        except BrokerUnavailableError as error:
            self._error = str(error)
            if not was:
                _log.warning("broker lost", error=self._error)
        else:
            self._error = ""
            if was:
                _log.info("broker answers", account=account.id, currency=account.currency)
        self._connected.set(not self._error)
        if self._lease.held:
            await reply(self._store.set(keys.BROKER_LINK, self._record().model_dump_json()))

    @property
    def was_heard(self) -> bool:
        """Whether the broker has ever answered for the account."""
        return self._heard_at_ns is not None

    async def last_transaction_id(self) -> int:
        """The newest transaction as of the last heartbeat; asked for before the first.

        Raises:
            BrokerUnavailableError: the broker was never heard, and does not answer.
        """
        if self._last_transaction_id is None:
            return await self._broker.last_transaction_id()
        return self._last_transaction_id

    async def check(self) -> str | None:
        """Why the broker counts as away; None while it does not."""
        if self._heard_at_ns is None:
            return self._error
        silence = (self._clock.now_ns() - self._heard_at_ns) / NS_PER_SECOND
        if silence <= _MAX_SILENCE_S:
            return None
        return f"not heard for {silence:.0f} s ({self._error or 'not asked'})"

    def _record(self) -> BrokerLinkRecord:
        heard = self._heard_at_ns
        return BrokerLinkRecord(
            ts=now_ms(self._clock),
            connected=not self._error,
            last_contact_ms=None if heard is None else heard // NS_PER_MS,
            error=self._error,
            ledger_contiguous=self._ledger.contiguous,
            last_transaction_id=self._ledger.last_id,
            price_stream_connected=self._price_stream.connected,
        )
