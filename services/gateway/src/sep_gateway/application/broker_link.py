"""The broker heartbeat: reads the account summary every second and publishes the result."""

from collections.abc import Callable

from sep_fx.instants import NS_PER_SECOND
from sep_kit.clock import Clock
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger
from sep_kit.refusal import StartRefusedError

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.link_report import LinkReport
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
        kinds: AccountKinds,
        report: LinkReport,
        store: BrokerLinkStore,
        refusal: Callable[[BrokerAccessError], StartRefusedError],
        *,
        lease: WriterLease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._kinds = kinds
        self._report = report
        self._store = store
        self._refusal = refusal
        self._lease = lease
        self._clock = clock
        self._connected = metrics.connected
        self._access_denied = metrics.access_denied
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
            self._report.observe(account)
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
            await self._store.save(self._report.state(self._error, self._last_contact_ns))

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
