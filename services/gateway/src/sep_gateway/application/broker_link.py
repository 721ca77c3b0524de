"""The broker heartbeat: reads the account summary every second and publishes the result."""

from collections.abc import Callable

from sep_fx.instants import NS_PER_MS, NS_PER_SECOND
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger
from sep_kit.refusal import StartRefusedError

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.stream_supervisor import StreamSupervisor
from sep_gateway.domain.broker_link import LinkState
from sep_gateway.domain.clock_skew import ClockSkew
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, BrokerAccessError, BrokerLinkStore, WriterLease

_log = get_logger("BrokerLink")

INTERVAL_S = 1.0
_MAX_SILENCE_S = 10.0


class BrokerLink:
    """Whether the broker responds, and what it says about the account.

    Args:
        refusal: makes the error that ends the service while the broker has never given access.
    """

    def __init__(
        self,
        broker: Broker,
        ledger: LedgerMonitor,
        price_stream: StreamSupervisor,
        store: BrokerLinkStore,
        kinds: AccountKinds,
        left_out: LeftOutMembers,
        clock_skew: ClockSkew,
        refusal: Callable[[BrokerAccessError], StartRefusedError],
        *,
        lease: WriterLease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._price_stream = price_stream
        self._store = store
        self._kinds = kinds
        self._left_out = left_out
        self._clock_skew = clock_skew
        self._refusal = refusal
        self._lease = lease
        self._clock = clock
        self._connected = metrics.connected
        self._access_denied = metrics.access_denied
        self._skew = metrics.clock_skew
        self._last_contact_ns: int | None = None
        self._error = "no request was sent yet"
        self._logged: set[str] = set()

    async def tick(self) -> None:
        """Read the account summary; the lease holder publishes the link state.

        Raises:
            StoreUnavailableError: it could not be published.
            StartRefusedError: the broker denies access, and has never given it.
        """
        try:
            account = await self._broker.account()
            self._last_contact_ns = self._clock.now_ns()
            self._kinds.observe(account)
            await self._ledger.announce(account.last_transaction_id)
            await self._kinds.refresh_if_due()
        except BrokerUnavailableError as error:
            self._failed(error)
        else:
            if self._error:
                _log.info("broker connected", account=account.id, currency=account.currency)
            self._error = ""
            self._logged.clear()
            self._access_denied.set(0)
        self._connected.set(not self._error)
        if self._lease.held:
            await self._store.save(self._state())

    def _failed(self, error: BrokerUnavailableError) -> None:
        self._error = str(error)
        self._access_denied.set(isinstance(error, BrokerAccessError))
        if isinstance(error, BrokerAccessError) and not self.account_confirmed:
            refusal = self._refusal(error)
            _log.error("start refused", reason=str(refusal))
            raise refusal from error
        # Once per cause: a broker may be away for hours.
        cause = type(error).__name__
        if cause not in self._logged:
            self._logged.add(cause)
            _log.warning("broker unavailable", error=self._error)

    @property
    def account_confirmed(self) -> bool:
        """Whether the broker has ever returned the account."""
        return self._last_contact_ns is not None

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
            left_out=tuple(str(member) for member in self._left_out.current),
            unsupported_kinds=tuple(kind.value for kind in self._kinds.current),
            clock_skew_s=self._skew_s(),
        )

    def _skew_s(self) -> float | None:
        skew = self._clock_skew.seconds(self._clock.now_ns())
        if skew is not None:
            self._skew.set(skew)
        return skew
