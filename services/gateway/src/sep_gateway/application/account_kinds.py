"""Whether the account is of a kind that the stack can't trade."""

from sep_fx.freshness import Freshness, age_of
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.domain.account import AccountSummary
from sep_gateway.domain.account_kind import AccountKind, unsupported_kinds
from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker

_log = get_logger("AccountKind")

_REFRESH_S = 3600


class AccountKinds:
    """The kinds as far as the broker has said; logged when they change."""

    def __init__(self, broker: Broker, clock: Clock, metrics: GatewayMetrics) -> None:
        self._broker = broker
        self._clock = clock
        self._gauge = metrics.account_unsupported
        self._summary: AccountSummary | None = None
        self._mt4 = False
        self._asked = False
        self._mt4_read_ms: int | None = None
        self._fifo = False
        self._current: tuple[AccountKind, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the broker has described the account since the start.

        Whether it is MetaTrader's was asked then too, even if not answered.
        """
        return self._summary is not None and self._asked

    @property
    def current(self) -> tuple[AccountKind, ...]:
        """The kinds that the stack can't trade."""
        return self._current

    @property
    def sentence(self) -> str:
        """The kinds that the stack can't trade, with the fields that can't be read."""
        unknown = self._summary.unknown if self._summary else ()
        fields = f" ({', '.join(unknown)} can't be read)" if unknown else ""
        return ", ".join(self._current) + fields

    def observe(self, summary: AccountSummary) -> None:
        """Note what an account summary says."""
        self._summary = summary
        self._update()

    def note_close(self, result: OrderResult) -> None:
        """Note a trade's close; one cancelled for FIFO shows that trades can't be chosen."""
        if result.state is OrderState.CANCELLED and result.reason.startswith("FIFO_VIOLATION"):
            self._fifo = True
            self._update()
        elif result.state is OrderState.FILLED and self._fifo:
            self._fifo = False
            self._update()

    async def refresh_if_due(self) -> None:
        """Ask once an hour whether the account belongs to MetaTrader 4.

        A token may not be allowed to list accounts, so a failure says nothing.
        """
        now = now_ms(self._clock)
        age = age_of(self._mt4_read_ms, now, _REFRESH_S)
        if age.verdict in {Freshness.FRESH, Freshness.FUTURE}:
            return
        try:
            self._mt4 = await self._broker.is_mt4()
        except BrokerUnavailableError:
            return
        finally:
            self._asked = True
        self._mt4_read_ms = now
        self._update()

    def _update(self) -> None:
        if self._summary is None:
            return
        before = self._current
        self._current = unsupported_kinds(self._summary, mt4=self._mt4, fifo=self._fifo)
        for kind in AccountKind:
            self._gauge.labels(kind.value).set(kind in self._current)
        if self._current and self._current != before:
            _log.warning(
                "this kind of account is not supported: entries are refused, exits work",
                account=self._summary.id,
                kinds=[kind.value for kind in self._current],
                unread=list(self._summary.unknown),
            )
        elif before and not self._current:
            _log.info("the account is supported again", account=self._summary.id)
