"""Interfaces that the application needs from the broker and the store."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sep_fx.granularity import Granularity
from sep_kit.errors import BrokerUnavailableError
from sep_kit.store.candle_chunks import CandleColumns

from sep_gateway.domain.account import (
    AccountSummary,
    Instruments,
    OpenTrades,
    Positions,
    Trade,
)
from sep_gateway.domain.broker_link import LinkState
from sep_gateway.domain.candle_page import CandlePage
from sep_gateway.domain.coverage import BackwardPage, Coverage, ForwardPage
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.orders import (
    MarketOrder,
    OrderResult,
    PositionClose,
    TradeClose,
    TradeStop,
)
from sep_gateway.domain.pricing import Price, Pricing
from sep_gateway.domain.transactions import Transaction, TransactionPage


class BrokerRefusedError(BrokerUnavailableError):
    """The broker answered, and refused the request."""


class BrokerAccessError(BrokerRefusedError):
    """The broker knows the token or the account not, or does not let the token use the account."""


BeforeSending = Callable[[], None]
"""Called right before an order leaves; raises when it must not be sent any more."""


class Broker(Protocol):
    """The broker's REST API. Every call raises ``BrokerUnavailableError`` on failure."""

    async def account(self) -> AccountSummary:
        """The account summary; one attempt with a short timeout, since it is the heartbeat."""
        ...

    async def positions(self) -> Positions:
        """Open positions, sorted by instrument, as of one transaction."""
        ...

    async def open_trades(self) -> OpenTrades:
        """Open trades, oldest first, as of one transaction."""
        ...

    async def trade(self, trade_id: int) -> Trade | None:
        """One trade; None when the broker knows no such open trade."""
        ...

    async def is_mt4(self) -> bool:
        """Whether the account belongs to MetaTrader 4."""
        ...

    async def instruments(self) -> Instruments:
        """Tradeable instruments, sorted by name."""
        ...

    async def pricing(self, instruments: Sequence[str]) -> Pricing:
        """Current prices and home conversions."""
        ...

    async def candles(
        self,
        instrument: str,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        count: int,
    ) -> CandlePage:
        """Up to ``count`` candles, oldest first; the newest may be incomplete."""
        ...

    async def create_market_order(
        self, order: MarketOrder, before_sending: BeforeSending | None = None
    ) -> OrderResult:
        """Send an order once.

        An error means that the broker did not execute it; if that is not certain, the result
        is UNKNOWN. ``before_sending`` runs after every wait, and its error is raised.
        """
        ...

    async def close_position(self, close: PositionClose) -> OrderResult:
        """Close one side of a position, once; errors and UNKNOWN as for an order."""
        ...

    async def close_trade(self, close: TradeClose) -> OrderResult:
        """Close a trade or a part of it, once; errors and UNKNOWN as for an order."""
        ...

    async def set_trade_stop(self, stop: TradeStop) -> OrderResult:
        """Give a trade a stop loss in place of the one it has; PENDING when it is in place."""
        ...

    async def find_order(self, client_order_id: str) -> OrderResult | None:
        """An order's result by its client id; None when the broker knows no such order."""
        ...

    async def transactions_since(
        self, transaction_id: int, through: int | None = None
    ) -> TransactionPage:
        """Every transaction after the given one, from the transaction list.

        Args:
            through: later transactions are not wanted; the answer may have some.
        """
        ...

    async def changes_since(self, transaction_id: int) -> TransactionPage:
        """Every transaction after the given one, from the account changes."""
        ...

    async def last_transaction_id(self) -> int:
        """Id of the account's newest transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A stream heartbeat: the connection is alive; it says nothing about the market.

    ``time_ns`` is the broker's send time; ``last_transaction_id`` is the account's newest,
    None on the price stream.
    """

    time_ns: int
    last_transaction_id: int | None = None


class Streams(Protocol):
    """The broker's streams; each ends with a ``BrokerUnavailableError``."""

    def prices(
        self, instruments: Sequence[str]
    ) -> AsyncGenerator[Price | Heartbeat | LeftOut, None]:
        """The current prices, then every new one; LeftOut for a line that can't be read."""
        ...

    def transactions(self) -> AsyncGenerator[Transaction | Heartbeat | LeftOut, None]:
        """Every new transaction; LeftOut for a line without a legible id."""
        ...


class CandleStore(Protocol):
    """Stored candles; calls raise ``StoreUnavailableError``."""

    async def write(self, instrument: str, granularity: Granularity, candles: CandleColumns) -> int:
        """Store candles; returns how many were new or changed."""
        ...

    async def last_times(
        self, instruments: Iterable[str], granularity: Granularity
    ) -> dict[str, int]:
        """Start in seconds of the newest bar of each instrument that has one."""
        ...

    async def read_columns(
        self, instrument: str, granularity: Granularity, since: int, until: int
    ) -> list[CandleColumns]:
        """Candles with ``since <= start < until``, oldest first."""
        ...


class CoverageStore(Protocol):
    """Coverage of each instrument's history; calls raise ``StoreUnavailableError``."""

    async def read(self, instrument: str, granularity: Granularity) -> Coverage | None:
        """The complete range of the history; None when there is none."""
        ...

    async def write(self, instrument: str, granularity: Granularity, coverage: Coverage) -> None:
        """Persist the complete range of an instrument's history."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderClaim:
    """Recorded before an order is sent: when, and the account's newest transaction by then.

    ``trade_id`` is that of the trade that the order closes, 0 for an order that names none;
    ``units`` says how much of it, empty for all. ``by`` names the attempt that claims: a claim
    that meets itself was sent twice by the store's client, and is no other attempt's.
    """

    ts_ms: int
    since_transaction_id: int
    trade_id: int = 0
    units: str = ""
    by: str = ""


class OrderClaimStore(Protocol):
    """Used client order ids. Calls raise ``StoreUnavailableError`` or ``CorruptRecordError``."""

    async def claim(self, client_order_id: str, claim: OrderClaim) -> OrderClaim | None:
        """Claim an id; the earlier claim if it is taken, None on success."""
        ...

    async def read(self, client_order_id: str) -> OrderClaim | None:
        """The claim of an id."""
        ...

    async def replace(self, client_order_id: str, old: OrderClaim, new: OrderClaim) -> bool:
        """Replace a claim; False when another caller has replaced it first."""
        ...

    async def release(self, client_order_id: str) -> None:
        """Delete the claim of an order that was not sent."""
        ...

    async def record(self, key: str, claim: OrderClaim) -> None:
        """Store a claim whatever was there before."""
        ...

    async def give_outcome(self, transaction_id: int, client_order_id: str) -> str:
        """Give the ledger's outcome of a close to a client order id; the id that has it then."""
        ...


class FenceStore(Protocol):
    """The newest fencing token of an order; calls raise ``StoreUnavailableError``."""

    async def admit(self, token: int) -> int:
        """Record a token unless a newer one is known; returns the newest."""
        ...


class BrokerLinkStore(Protocol):
    """The published state of the broker connection."""

    async def save(self, state: LinkState) -> None:
        """Persist the state; raises ``StoreUnavailableError``."""
        ...


class StoreOwnership(Protocol):
    """Which account the store belongs to; calls raise ``StoreUnavailableError``."""

    async def check(self) -> str | None:
        """Why the store belongs to another account; None if it is this account's or unowned."""
        ...

    async def claim(self) -> str | None:
        """Make an unowned store this account's; returns as ``check`` does."""
        ...


class WriterLease(Protocol):
    """The lease that one replica of the service holds to write."""

    @property
    def held(self) -> bool:
        """Whether this replica may write."""
        ...


class KillSwitch(Protocol):
    """Reads the kill switch right before an entry is sent."""

    async def engaged(self) -> bool:
        """Whether it is engaged; True also when its state can't be read."""
        ...
