"""The broker heartbeat: reads the account summary every second and publishes the result."""

from sep_fx.instants import NS_PER_MS, NS_PER_SECOND
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.stream_supervisor import StreamSupervisor
from sep_gateway.domain.broker_link import LinkState
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, BrokerLinkStore, WriterLease

_log = get_logger("BrokerLink")

INTERVAL_S = 1.0
_MAX_SILENCE_S = 10.0


class BrokerLink:
    """Whether the broker responds, and the newest transaction id it named."""

    def __init__(
        self,
        broker: Broker,
        ledger: LedgerMonitor,
        price_stream: StreamSupervisor,
        store: BrokerLinkStore,
        *,
        lease: WriterLease,
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
        self._last_contact_ns: int | None = None
        self._error = "no request was sent yet"
        self._last_transaction_id: int | None = None

    async def tick(self) -> None:
        """Read the account summary; the lease holder publishes the link state.

        Raises:
            StoreUnavailableError: it could not be published.
        """
        previous_error = self._error
        try:
            account = await self._broker.account()
            self._last_contact_ns = self._clock.now_ns()
            self._last_transaction_id = account.last_transaction_id
            await self._ledger.announce(account.last_transaction_id)
        except BrokerUnavailableError as error:
            self._error = str(error)
            if not previous_error:
                _log.warning("broker unavailable", error=self._error)
        else:
            self._error = ""
            if previous_error:
                _log.info("broker connected", account=account.id, currency=account.currency)
        self._connected.set(not self._error)
        if self._lease.held:
            await self._store.save(self._state())

    @property
    def account_confirmed(self) -> bool:
        """Whether the broker has ever returned the account."""
        return self._last_contact_ns is not None

    async def last_transaction_id(self) -> int:
        """The newest transaction as of the last heartbeat; requested before the first one.

        Raises:
            BrokerUnavailableError: there was no heartbeat yet, and the broker does not respond.
        """
        if self._last_transaction_id is None:
            return await self._broker.last_transaction_id()
        return self._last_transaction_id

    async def check(self) -> str | None:
        """Health check: why the broker counts as unavailable; None if it does not."""
        if self._last_contact_ns is None:
            return self._error
        silence = (self._clock.now_ns() - self._last_contact_ns) / NS_PER_SECOND
        if silence <= _MAX_SILENCE_S:
            return None
        return f"no response for {silence:.0f} s ({self._error or 'no request was sent'})"

    def _state(self) -> LinkState:
        contact = self._last_contact_ns
        return LinkState(
            ts_ms=now_ms(self._clock),
            connected=not self._error,
            last_contact_ms=None if contact is None else contact // NS_PER_MS,
            error=self._error,
            ledger_contiguous=self._ledger.contiguous,
            last_transaction_id=self._ledger.last_id,
            price_stream_connected=self._price_stream.connected,
        )
