"""Composes the state of the broker connection that the gateway publishes."""

from sep_fx.instants import NS_PER_MS
from sep_kit.clock import Clock, now_ms

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.stream_supervisor import StreamSupervisor
from sep_gateway.domain.account import AccountSummary
from sep_gateway.domain.broker_link import LinkState
from sep_gateway.domain.clock_skew import ClockSkew
from sep_gateway.metrics import GatewayMetrics


class LinkReport:
    """What streams, ledger and answers show about the connection, beside the heartbeat."""

    def __init__(
        self,
        ledger: LedgerMonitor,
        price_stream: StreamSupervisor,
        kinds: AccountKinds,
        left_out: LeftOutMembers,
        clock_skew: ClockSkew,
        *,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._ledger = ledger
        self._price_stream = price_stream
        self._kinds = kinds
        self._left_out = left_out
        self._clock_skew = clock_skew
        self._clock = clock
        self._skew = metrics.clock_skew

    def observe(self, account: AccountSummary) -> None:
        """Note the fields of the account that can't be read."""
        self._left_out.report("account", account.odd)

    def state(self, error: str, last_contact_ns: int | None) -> LinkState:
        """The state now.

        Args:
            error: why the last heartbeat failed; empty if it did not.
            last_contact_ns: when the broker last responded; None before the first response.
        """
        return LinkState(
            ts_ms=now_ms(self._clock),
            connected=not error,
            last_contact_ms=None if last_contact_ns is None else last_contact_ns // NS_PER_MS,
            error=error,
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
